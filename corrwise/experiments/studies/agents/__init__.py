"""Agents of Stable-Baselines3 that learn from goal images."""
