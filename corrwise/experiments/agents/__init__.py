"""Agents of Stable-Baselines3 that learn from goal pictures: how far from the goal state do they end?"""
