"""Where random numbers come from: one generator per environment instance, whatever else runs beside it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from corrwise.mpc.config import require, require_whole


def generator(seed: int, instance: int) -> torch.Generator:
    """Return the generator of one environment, derived from ``(seed, instance)`` and nothing else.

    Neither the number of environments nor of workers, nor the horizon, enters: ``B = 2`` draws what two runs of
    ``B = 1`` draw. ``numpy.random.SeedSequence`` mixes the pair, so neighbouring seeds do not share streams (adding
    the two would: seed 0, instance 1 would equal seed 1, instance 0).

    Raises:
        ValueError: when ``seed`` or ``instance`` is no whole number in [0, 2^32); beyond, pairs
            would share their streams: the words of (2^32, 0) are those of (0, 1).
    """
    for name, value in (("seed", seed), ("instance", instance)):
        require_whole(name, value)
        require(0 <= value < 2**32, name, "in [0, 2^32)", value)
    (mixed,) = np.random.SeedSequence((seed, instance)).generate_state(1, np.uint64)
    return torch.Generator("cpu").manual_seed(int(mixed))


def resumed(state: Tensor) -> torch.Generator:
    """Return a generator that goes on from a saved ``get_state()``."""
    generator = torch.Generator("cpu")
    generator.set_state(state)
    return generator
