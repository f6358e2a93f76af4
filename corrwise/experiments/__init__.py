"""The only room that opens every door: command line, episodes, rows, tables, reports."""
