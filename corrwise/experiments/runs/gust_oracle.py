"""An upper-bound control: the simulator's own futures under gusts that are drawn from the task's own law."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Generator, Tensor

from corrwise.envs import MujocoSimulator, Task
from corrwise.predictors import OraclePredictor
from corrwise.types import Context, copied

__all__ = ["GustOracle", "check_gusts", "sampled_gusts"]


def check_gusts(task: Task) -> None:
    """Raise a ValueError for a task without gusts."""
    if task.gusts is None:
        raise ValueError(f"predictor oracle-gusts needs a task with gusts, and {task.name} has none")


class GustOracle(OraclePredictor):
    """Rolls candidates out under sampled gusts, from the context's true state; without generators there are none.

    It is privileged twice: it reads the state, and it knows the law of the gusts. It does not know those to come.
    Candidates share their gusts.

    Args:
        simulator: of a task with gusts.

    Raises:
        ValueError: if the task has none.
    """

    deterministic = False

    def __init__(self, simulator: MujocoSimulator) -> None:
        check_gusts(simulator.task)
        super().__init__(simulator)
        self._simulator = simulator

    def __call__(
        self,
        context: Context,
        actions: Float[Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[Generator] | None = None,
    ) -> Float[Tensor, "B N T C h w"]:
        """Return the frames after the given steps; NaN for a candidate whose physics diverges.

        Raises:
            ValueError: the context has no simulator state.
        """
        if generators is None or context.state is None:
            return super().__call__(context, actions, steps=steps)
        wanted = list(range(actions.shape[2])) if steps is None else list(steps)
        forces = sampled_gusts(self._simulator, actions, generators)
        return self._simulator.rollout(context.state, actions, wanted, forces)


def sampled_gusts(
    simulator: MujocoSimulator, actions: Float[Tensor, "B N H A"], generators: Sequence[Generator]
) -> Float64[np.ndarray, "B N H nv"]:
    """Return gusts that an environment's candidates share, drawn from copies of the generators."""
    gusts, (_, candidates, horizon, _) = simulator.task.gusts, actions.shape
    assert gusts is not None
    normal = [
        torch.randn(horizon, generator=copied(each), dtype=torch.float64, device=each.device).cpu().numpy()
        for each in generators
    ]
    forces = gusts.forces(simulator.model, np.stack(normal))
    return np.repeat(forces[:, None], candidates, axis=1)
