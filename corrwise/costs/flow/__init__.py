"""Optical flow estimators: ``flow(target, source)`` says where to sample ``source`` so that it matches ``target``."""

from corrwise.costs.flow.all_pairs import AllPairsFlow
from corrwise.costs.flow.dis import DISFlow
from corrwise.costs.flow.raft import RAFTFlow
from corrwise.costs.flow.zero import ZeroFlow

__all__ = ["FLOWS", "AllPairsFlow", "DISFlow", "RAFTFlow", "ZeroFlow"]

FLOWS = {"all-pairs": AllPairsFlow, "dis": DISFlow, "raft": RAFTFlow, "zero": ZeroFlow}
