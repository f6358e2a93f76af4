"""Draw the 100 test episodes of each task, once: rows of other episodes cannot be compared.

    .venv/bin/python tools/freeze_manifests.py

Seeds from 10000 are used for nothing else: tuning uses seeds from 1000, and the plans of a flow net seeds from 5000.
"""

from __future__ import annotations

import sys
from pathlib import Path

from corrwise.envs import TASKS
from corrwise.envs.tasks.manifest import draw_manifest, save_manifest

FOLDER = Path("corrwise/envs/tasks/manifests")
SEEDS = range(10000, 10100)


def main() -> int:
    for task in TASKS:
        path = FOLDER / f"{task}.npz"
        if path.exists():
            print(f"{path} is frozen already; rows of other episodes cannot be compared with those there are")
            continue
        manifest = draw_manifest(task, list(SEEDS))
        save_manifest(manifest, path)
        print(f"{path}: {len(manifest.seeds)} episodes, SHA-256 {manifest.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
