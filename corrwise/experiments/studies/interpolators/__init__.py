"""The table of interpolators."""
