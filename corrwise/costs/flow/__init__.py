"""Optical flow estimators: ``flow(target, source)`` is where to sample ``source`` so that it matches ``target``."""

from collections.abc import Callable

from corrwise.costs.flow.dis import DISFlow
from corrwise.costs.flow.learned.estimator import LearnedFlow
from corrwise.costs.flow.matching.all_pairs import AllPairsFlow
from corrwise.costs.flow.matching.coarse_to_fine import CoarseToFine
from corrwise.costs.flow.parametric import AffineFit, HomographyFit
from corrwise.costs.flow.polished import Polished
from corrwise.costs.flow.ptlflow import PtlFlow
from corrwise.costs.flow.raft import RAFTFlow
from corrwise.costs.flow.variational import TVL1Flow
from corrwise.costs.flow.zero import ZeroFlow
from corrwise.costs.presets import NAMED_FLOWS
from corrwise.types import Flow

__all__ = [
    "FLOWS",
    "AffineFit",
    "AllPairsFlow",
    "CoarseToFine",
    "DISFlow",
    "HomographyFit",
    "LearnedFlow",
    "Polished",
    "PtlFlow",
    "RAFTFlow",
    "TVL1Flow",
    "ZeroFlow",
]

# Registered in ``corrwise.costs.presets``. Each can be made without an argument.
FLOWS: dict[str, Callable[..., Flow]] = {name: flow.factory() for name, flow in NAMED_FLOWS.items()}
