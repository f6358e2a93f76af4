"""Optical flow estimators: ``flow(target, source)`` says where to sample ``source`` so that it matches ``target``."""

from collections.abc import Callable
from functools import partial

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

# All-pairs matching for jointed bodies in a still scene: each pixel like those around it.
RIGID = partial(AllPairsFlow, patch=5, penalty=0.001, rigidity=0.015)

# Each can be made without an argument; PtlFlow needs the name of a model.
FLOWS: dict[str, Callable[..., Flow]] = {
    "all-pairs": AllPairsFlow,
    "rigid": RIGID,
    "dis": DISFlow,
    "raft": RAFTFlow,
    "zero": ZeroFlow,
    "affine": AffineFit,
    "homography": HomographyFit,
    "learned": LearnedFlow,
    "tv-l1": TVL1Flow,
}
