"""Public datasets in their own layouts."""
