"""The predictors: models, baselines and the oracle."""
