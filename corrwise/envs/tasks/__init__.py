"""Tasks: what a task is, where its episodes start, which goals count, and those of the package."""
