"""Rows and settings on disk, which survive being killed."""
