"""The report of a run: one page, its images and videos."""
