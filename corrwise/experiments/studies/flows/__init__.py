"""Optical flows: trained on exact correspondence, measured against it."""
