"""The command line. Help and argument errors answer before torch is loaded; errors are one sentence and exit with 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from corrwise.experiments.options.ablations import AblationTableConfig
from corrwise.experiments.options.agents import AgentTableConfig
from corrwise.experiments.options.checks import ConfigError
from corrwise.experiments.options.collect import CollectConfig
from corrwise.experiments.options.evaluate import EvaluateConfig
from corrwise.experiments.options.mpc import DoctorConfig, MPCConfig, ReportConfig
from corrwise.experiments.options.parse import parse
from corrwise.experiments.options.tables import FlowTableConfig, MPCTableConfig, RankingTableConfig, TableConfig
from corrwise.experiments.options.train import TrainConfig
from corrwise.experiments.options.train_flow import TrainFlowConfig

Command = (
    Annotated[MPCConfig, tyro.conf.subcommand("mpc")]
    | Annotated[CollectConfig, tyro.conf.subcommand("collect")]
    | Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[TrainFlowConfig, tyro.conf.subcommand("train-flow")]
    | Annotated[TableConfig, tyro.conf.subcommand("table")]
    | Annotated[ReportConfig, tyro.conf.subcommand("report")]
    | Annotated[DoctorConfig, tyro.conf.subcommand("doctor")]
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``corrwise`` and return its exit status: 0 done, 2 unusable input, 130 interrupted."""
    try:
        return _run(parse(Command, argv))
    except (ConfigError, ArithmeticError, ValueError, OSError, RuntimeError) as error:
        print(f"corrwise: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("corrwise: interrupted; the same command continues where it stopped", file=sys.stderr)
        return 130


def _run(config: Command) -> int:
    if isinstance(config, DoctorConfig):
        from corrwise.experiments.doctor import examine

        return examine()
    if isinstance(config, ReportConfig):
        from corrwise.experiments.report.page import write_report

        print(write_report(config.out))
        return 0
    if isinstance(config, CollectConfig):
        from corrwise.experiments.video.collect import run_collect

        print(run_collect(config))
        return 0
    if isinstance(config, TrainConfig):
        from corrwise.experiments.video.train import run_train

        print(run_train(config))
        return 0
    if isinstance(config, EvaluateConfig):
        from corrwise.experiments.video.evaluate import run_evaluate

        print(run_evaluate(config))
        return 0
    if isinstance(config, TrainFlowConfig):
        from corrwise.experiments.flows.train import run_train_flow

        print(run_train_flow(config))
        return 0
    if isinstance(config, TableConfig):
        print(_make_table(config.table))
        return 0
    if config.renderer == "gl":
        os.environ.setdefault("MUJOCO_GL", "egl")  # before mujoco is imported; a display is rarely at hand
    from corrwise.experiments.planning.mpc import run_mpc

    print(run_mpc(config))
    return 0


def _make_table(
    config: FlowTableConfig | RankingTableConfig | MPCTableConfig | AblationTableConfig | AgentTableConfig,
) -> Path:
    if isinstance(config, AgentTableConfig):
        from corrwise.experiments.agents.table import run_agent_table

        return run_agent_table(config)
    if isinstance(config, AblationTableConfig):
        from corrwise.experiments.planning.ablation_table import run_ablation_table

        return run_ablation_table(config)
    if isinstance(config, MPCTableConfig):
        from corrwise.experiments.planning.table import run_mpc_table

        return run_mpc_table(config)
    if isinstance(config, RankingTableConfig):
        from corrwise.experiments.planning.ranking import run_ranking

        return run_ranking(config)
    from corrwise.experiments.flows.table import run_flow_table

    return run_flow_table(config)


if __name__ == "__main__":
    sys.exit(main())
