"""The command line. Help and argument errors answer before torch is loaded; errors are one sentence and exit with 2."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import tyro

from corrwise.experiments.cli.checks import ConfigError
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.faults import debugging, plain_warnings, sentence_of
from corrwise.experiments.cli.import_clips import ImportConfig
from corrwise.experiments.cli.mpc import DoctorConfig, MPCConfig, ReportConfig
from corrwise.experiments.cli.parse import parse
from corrwise.experiments.cli.preview import PreviewConfig
from corrwise.experiments.cli.program import not_read
from corrwise.experiments.cli.stopping import say_stopped, stoppable
from corrwise.experiments.cli.table import FlowTableConfig, MPCTableConfig, RankingTableConfig, TableConfig
from corrwise.experiments.cli.table_ablations import AblationTableConfig
from corrwise.experiments.cli.table_agents import AgentTableConfig
from corrwise.experiments.cli.table_predictors import PredictorTableConfig
from corrwise.experiments.cli.train import TrainConfig, refuse_renamed
from corrwise.experiments.cli.train_flow import TrainFlowConfig
from corrwise.experiments.cli.waiting import wait_passively

Command = (
    Annotated[MPCConfig, tyro.conf.subcommand("mpc")]
    | Annotated[PreviewConfig, tyro.conf.subcommand("preview")]
    | Annotated[CollectConfig, tyro.conf.subcommand("collect")]
    | Annotated[ImportConfig, tyro.conf.subcommand("import")]
    | Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[TrainFlowConfig, tyro.conf.subcommand("train-flow")]
    | Annotated[TableConfig, tyro.conf.subcommand("table")]
    | Annotated[ReportConfig, tyro.conf.subcommand("report")]
    | Annotated[DoctorConfig, tyro.conf.subcommand("doctor")]
)


_RUNS: dict[type, str] = {  # what runs a configuration and returns the path of what it made; imported when it is needed
    MPCConfig: "runs.mpc:run_mpc",
    PreviewConfig: "runs.preview:run_preview",
    CollectConfig: "runs.collect:run_collect",
    ImportConfig: "runs.import_clips:run_import",
    TrainConfig: "runs.train:run_train",
    EvaluateConfig: "studies.predictors.evaluate:run_evaluate",
    TrainFlowConfig: "studies.flows.train:run_train_flow",
    ReportConfig: "report.page:run_report",
    FlowTableConfig: "studies.flows.table:run_flow_table",
    RankingTableConfig: "studies.ranking.table:run_ranking",
    MPCTableConfig: "studies.planning.table:run_mpc_table",
    AblationTableConfig: "studies.ablations.table:run_ablation_table",
    PredictorTableConfig: "studies.predictors.table:run_predictor_table",
    AgentTableConfig: "studies.agents.table:run_agent_table",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``corrwise`` and return its exit status: 0 done, 2 unusable input, 130 interrupted, 143 terminated."""
    config: Command | None = None
    try:
        refuse_renamed(sys.argv[1:] if argv is None else argv)
        config = parse(Command, argv)
        return _run(config)
    except KeyboardInterrupt:
        return say_stopped(signal.SIGINT)
    except BaseException as error:
        if isinstance(error, BrokenPipeError) and not_read():
            return 128 + signal.SIGPIPE
        sentence = sentence_of(error, own_task=":" in getattr(config, "task", ""))
        if sentence is None:
            raise
        if debugging():
            traceback.print_exception(error)
        print(f"corrwise: {sentence}", file=sys.stderr)
        return 2


def _run(config: Command) -> int:
    _check_folder()
    passive = wait_passively()  # before torch is loaded
    if isinstance(config, DoctorConfig):
        from corrwise.experiments.cli.doctor import examine

        return examine(set_here=passive)
    if isinstance(config, MPCConfig) and config.renderer == "gl":
        os.environ.setdefault("MUJOCO_GL", "egl")  # before mujoco is imported; a display is rarely at hand
    task = config.table if isinstance(config, TableConfig) else config
    module, function = _RUNS[type(task)].split(":")
    work = getattr(import_module(f"corrwise.experiments.{module}"), function)
    with plain_warnings(), stoppable() as stop:  # from here on there are files to clean up
        try:
            made = work(task)
        except BaseException:
            if stop.number is None:
                raise
            return say_stopped(stop.number)
    if isinstance(config, TableConfig):
        print(made.read_text(encoding="utf-8"))
    print(made)
    return 0


def _check_folder() -> None:
    """Refuse to work in a folder that has been removed: torch ends the process when it is loaded there."""
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigError(f"the current folder cannot be used: {error.strerror}; change to another one") from error
