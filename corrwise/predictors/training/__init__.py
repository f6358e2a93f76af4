"""How predictors learn."""
