"""Simulate one model from many integration states at once, bit-exact and threaded."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Float64
from mujoco.batch import Batch, SimulationError

from corrwise.envs.renderers.extent import ViewExtents
from corrwise.envs.tasks.gusts import Gusts
from corrwise.envs.tasks.metric import integration_size

_DIVERGED = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)
_NUMBER = 1  # a warning counter's rows are (last info, number)


class Physics:
    """Runs actions in [-1, 1] from integration states on ``mujoco.batch.Batch``.

    Environment and oracle both use it, so the oracle's prediction equals what the environment does, bit for bit, at any
    batch size and thread count.

    Args:
        model: the compiled model.
        frame_skip: physics steps in one control step.
        threads: threads of the batch; 0 means all CPUs.
        chunk: the largest number of simulations in memory.
        gusts: which define where the forces that are handed to ``states`` act; None means everywhere.
    """

    def __init__(
        self, model: mujoco.MjModel, frame_skip: int, *, threads: int = 0, chunk: int = 1024,
        gusts: Gusts | None = None,
    ) -> None:  # fmt: skip
        self.model = model
        self.frame_skip = frame_skip
        self._gusts = gusts
        self._threads = threads
        self._chunk = chunk
        self._batch: Batch | None = None
        limited = model.actuator_ctrllimited.astype(bool)
        low = np.where(limited, model.actuator_ctrlrange[:, 0], -1.0)
        high = np.where(limited, model.actuator_ctrlrange[:, 1], 1.0)
        self._middle, self._half = (high + low) / 2, (high - low) / 2

    def __getstate__(self) -> dict[str, Any]:
        """Leave the batch out of copies and pickles: it holds no state between calls and is rebuilt when needed."""
        return {**self.__dict__, "_batch": None}

    @property
    def action_dim(self) -> int:
        """The number of actuators, A."""
        return self.model.nu

    @cached_property
    def extents(self) -> ViewExtents:
        """The extents of the moving geoms in the image of a state."""
        return ViewExtents(self.model)

    def states(
        self,
        state: Float64[np.ndarray, "B S"],
        actions: Float[torch.Tensor, "B N H A"],
        steps: Sequence[int],
        forces: Float64[np.ndarray, "B N H nv"] | None = None,
    ) -> Float64[np.ndarray, "B N T S"]:
        """Return the states after the given 0-based control steps; NaN from where a simulation diverged.

        Args:
            state: at the beginning.
            actions: of each control step.
            steps: after which states are returned.
            forces: generalised forces that act in each control step beside the actuators', unless the pose at its
                beginning is in the gusts' shelter; the states that are returned hold none. None means none.

        Raises:
            ValueError: if actions are not (B, N, H, A), states not (B, S) of this model with the same B, forces not
                (B, N, H, nv), or a step lies outside the horizon.
            TypeError: if a step is not an integer.
        """
        if actions.ndim != 4 or actions.shape[3] != self.action_dim:
            raise ValueError(f"expected actions (B, N, H, {self.action_dim}), got {tuple(actions.shape)}")
        b, n, h, a = actions.shape
        if state.shape != (b, integration_size(self.model)):
            raise ValueError(f"expected states ({b}, {integration_size(self.model)}), got {state.shape}")
        if any(not 0 <= operator.index(step) < h for step in steps):
            raise ValueError(f"steps must lie in 0 to {h - 1} (the horizon is {h}), got {list(steps)}")
        if forces is not None and forces.shape != (b, n, h, self.model.nv):
            raise ValueError(f"expected forces ({b}, {n}, {h}, {self.model.nv}), got {forces.shape}")
        start = np.repeat(state, n, axis=0)
        applied = None if forces is None else forces.reshape(b * n, h, self.model.nv)
        controls = self.controls(actions.detach().cpu().numpy().reshape(b * n, h, a))
        out = np.empty((b * n, len(steps), state.shape[1]))
        for i in range(0, b * n, self._chunk):
            part = slice(i, i + self._chunk)
            out[part] = self._run(start[part], controls[part], steps, None if applied is None else applied[part])
        return out.reshape(b, n, len(steps), state.shape[1])

    def controls(self, actions: np.ndarray) -> np.ndarray:
        """Return actuator controls for actions in [-1, 1], (..., A)."""
        return self._middle + self._half * np.clip(actions.astype(np.float64), -1.0, 1.0)

    def _run(
        self, start: np.ndarray, controls: np.ndarray, steps: Sequence[int], applied: np.ndarray | None
    ) -> np.ndarray:
        n = len(start)
        batch, ids = self._batch_of(n), np.arange(n, dtype=np.int32)
        batch.state[:n] = start
        batch.warning[:n] = 0
        diverged = ~np.isfinite(start).all(axis=1)
        out = np.empty((n, len(steps), start.shape[1]))
        ctrl = batch.bind("ctrl")
        for step in range(max(steps) + 1 if len(steps) else 0):
            ctrl[:n] = controls[:, step]
            diverged |= np.isnan(controls[:, step]).any(axis=1)  # MuJoCo would use a control of 0
            if applied is None:
                diverged |= self._step(batch, ids)
            else:
                force = batch.bind("qfrc_applied")
                qpos = batch.state[:n, 1 : 1 + self.model.nq]
                shelter = 1.0 if self._gusts is None else self._gusts.exposed(self.model, qpos)[:, None]
                force[:n] = applied[:, step] * shelter
                diverged |= self._step(batch, ids)
                force[:n] = 0  # a state that kept them would apply them once more
            for slot in (i for i, wanted in enumerate(steps) if wanted == step):
                out[:, slot] = np.where(diverged[:, None], np.nan, batch.state[:n])
        return out

    def _step(self, batch: Batch, ids: np.ndarray) -> np.ndarray:
        """Advance one control step and return which simulations failed, (n,)."""
        try:
            with _quiet_warnings():
                batch.step(ids, nstep=self.frame_skip)
        except SimulationError:  # one broken simulation must not stop the others' plan
            failed = np.asarray(batch.status[: len(ids)]) != 0
        else:
            failed = np.zeros(len(ids), dtype=bool)
        # MuJoCo silently resets a simulation that blew up; its warning counter is the only trace of it
        return failed | (batch.warning[: len(ids), _DIVERGED, _NUMBER] > 0).any(axis=1)

    def _batch_of(self, n: int) -> Batch:
        """Return a batch of at least n simulations, kept from call to call and grown when needed."""
        if self._batch is None or self._batch.nsim < n:
            self._batch = Batch(self.model, n, self._threads)
        return self._batch


@contextmanager
def _quiet_warnings() -> Iterator[None]:
    """Keep MuJoCo from printing and writing a log file for each simulation that diverges; it is reported as NaN."""
    previous = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(previous)
