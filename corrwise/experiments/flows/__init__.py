"""Optical flows in experiments: trained on exact correspondence, measured against it."""
