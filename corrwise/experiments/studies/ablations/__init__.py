"""One choice of the planning table changed at a time."""
