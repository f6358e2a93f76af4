"""How videos move: scores of their motion."""
