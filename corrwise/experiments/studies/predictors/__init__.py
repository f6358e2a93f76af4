"""Video predictors that differ in their loss alone."""
