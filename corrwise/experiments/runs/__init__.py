"""Runs: jobs, rows and settings on disk that survive being killed."""
