"""Predictors: models, a baseline and the oracle."""
