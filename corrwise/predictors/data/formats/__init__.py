"""Files that clips are read from and written to."""
