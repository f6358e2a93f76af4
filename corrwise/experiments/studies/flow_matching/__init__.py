"""The table of denoisers that differ in the loss's weight over time and in the law of the times."""
