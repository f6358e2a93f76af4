"""Video predictors: collect clips, train on them, and say what the predictions are worth."""
