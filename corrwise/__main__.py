"""``python -m corrwise`` is the command ``corrwise``."""

from corrwise.experiments.cli.program import run

if __name__ == "__main__":
    run()
