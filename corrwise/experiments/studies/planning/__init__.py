"""The planning table: every cost on the same frozen episodes."""
