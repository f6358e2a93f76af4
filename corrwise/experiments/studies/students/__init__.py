"""The table of few-step students: distilled with and without an adversary of motion."""
