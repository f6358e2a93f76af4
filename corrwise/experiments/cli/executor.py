"""Options of where jobs run; free of torch, as all options are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from corrwise.experiments.cli.checks import check, check_name

EXECUTOR_NAMES = ("local", "submitit", "ray")


@dataclass(frozen=True)
class ExecutorConfig:
    """Where the jobs of a run are executed (docs/scale_out.md); changes the speed, never the rows."""

    executor: str = "local"
    """local (processes of this machine), submitit (a SLURM cluster) or ray (a Ray cluster)."""
    slurm_cluster: str = ""
    """submitit's cluster: slurm, local (processes that stand in for SLURM) or debug; empty is slurm where there is
    one, else local."""
    slurm_partition: str = ""
    """SLURM partition; empty is the cluster's default."""
    slurm_minutes: int = 60
    """Time limit of a SLURM job; a job holds the episodes that step together."""
    slurm_memory: int = 4
    """Memory of a SLURM job in GB."""
    ray_address: str = ""
    """Ray cluster, such as 10.0.0.1:6379 or ray://head:10001; empty starts one on this machine that listens on the
    loopback address alone."""
    ray_token_file: Path | None = None
    """File with the authentication token of the Ray cluster."""

    def __post_init__(self) -> None:
        """Refuse unknown names and options of another executor."""
        check_name("executor", self.executor, EXECUTOR_NAMES)
        check_name("slurm-cluster", self.slurm_cluster, ("", "slurm", "local", "debug"))
        check(1 <= self.slurm_minutes <= 1_000_000, "slurm-minutes", "from 1 to 1000000", self.slurm_minutes)
        check(1 <= self.slurm_memory <= 100_000, "slurm-memory", "from 1 to 100000", self.slurm_memory)
        for option, owner in (
            *((f"slurm_{name}", "submitit") for name in ("cluster", "partition", "minutes", "memory")),
            *((f"ray_{name}", "ray") for name in ("address", "token_file")),
        ):
            given = getattr(self, option)
            fits = self.executor == owner or given == getattr(ExecutorConfig, option)
            check(fits, option.replace("_", "-"), f"left out, for it belongs to executor {owner}", given)
