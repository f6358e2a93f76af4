"""Flow by matching patches: all pairs, hard or soft, rigid bodies, and coarse to fine."""
