"""Draw each task's 100 test episodes, once: rows made on other ones cannot be compared.

    .venv/bin/python tools/freeze_manifests.py

Seeds from 10000 on were used for nothing before: tuning uses 1000 and up, a flow net's plans 5000 and up.
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
