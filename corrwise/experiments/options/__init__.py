"""Options of the command line; free of torch, so that help and argument errors come at once."""
