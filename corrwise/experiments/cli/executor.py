"""Options of where jobs run; free of torch, as all options are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from corrwise.experiments.cli.checks import Range, check, validated


@validated
class ExecutorConfig:
    """Where the jobs of a run are executed (docs/scale_out.md); changes the speed, never the rows."""

    executor: Literal["local", "submitit", "ray"] = "local"
    """local (processes of this machine), submitit (a SLURM cluster) or ray (a Ray cluster)."""
    slurm_cluster: Literal["", "slurm", "local", "debug"] = ""
    """submitit's cluster: slurm, local (processes that stand in for SLURM) or debug; empty is slurm where there is
    one, else local."""
    slurm_partition: str = ""
    """SLURM partition; empty is the cluster's default."""
    slurm_minutes: Annotated[int, Range(1, 1_000_000)] = 60
    """Time limit of a SLURM job; a job holds the episodes that step together."""
    slurm_memory: Annotated[int, Range(1, 100_000)] = 4
    """Memory of a SLURM job in GB."""
    ray_address: str = ""
    """Ray cluster, such as 10.0.0.1:6379 or ray://head:10001; empty starts one on this machine that listens on the
    loopback address alone."""
    ray_token_file: Path | None = None
    """File with the authentication token of the Ray cluster."""

    def __post_init__(self) -> None:
        """Refuse options of another executor."""
        for option, owner in (
            *((f"slurm_{name}", "submitit") for name in ("cluster", "partition", "minutes", "memory")),
            *((f"ray_{name}", "ray") for name in ("address", "token_file")),
        ):
            given = getattr(self, option)
            fits = self.executor == owner or given == getattr(ExecutorConfig, option)
            check(fits, option.replace("_", "-"), f"left out, for it belongs to executor {owner}", given)
