"""Every number the agent can be tuned with; free of torch: help answers at once."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from corrwise.validation import Range, validated

AggregateName = Literal["last", "sum", "mean", "discounted", "last-times-k", "min"]
AGGREGATE_NAMES: tuple[str, ...] = get_args(AggregateName)
RiskName = Literal["mean", "cvar", "worst"]
RISK_NAMES: tuple[str, ...] = get_args(RiskName)

Size = Annotated[int, Range(1)]
Discount = Annotated[float, Range(0, 1, open="low")]
Positive = Annotated[float, Range(0, open="low")]
Seed = Annotated[int, Range(0, 2**32 - 1)]  # numpy's SeedSequence takes larger ones apart


@validated(error=ValueError)
class AgentConfig:
    """What :class:`corrwise.mpc.VisualMPC` does around the planner."""

    aggregate: AggregateName = "last"
    """How the costs of the predicted frames become one number per candidate."""
    gamma: Discount = 0.95
    """Discount of ``discounted`` per step, in (0, 1]."""
    k: Positive = 10.0
    """How often ``last-times-k`` counts the last step."""
    futures: Size = 1
    """Futures that are sampled for each candidate (M). All candidates of an environment share their random numbers,
    which are new for each plan; with more than one future, all iterations of a plan share them, too, so that the plan
    minimises one function. A predictor with the attribute ``deterministic`` has one future and is asked for it once."""
    risk: RiskName = "mean"
    """How the costs of a candidate's futures become its cost: their ``mean``, ``cvar`` (the mean of the worst share,
    ``risk_level``) or the ``worst``. A candidate with a future that is not finite costs +inf."""
    risk_level: Discount = 0.5
    """The share of ``cvar``, in (0, 1]: 1 is the mean, and 1/M or below the worst of M futures."""
    plan_every: Size = 1
    """Control steps between plans: the first actions of a plan are executed until the next plan is made."""
    action_change_penalty: Annotated[float, Range(0)] = 0.0
    """Weight of the mean squared difference of successive actions, which is added to the cost: in the cost's unit, for
    actions that change by 1, half their range. The action executed last counts, too, where there is one."""
    context_frames: Size = 1
    """How many past frames the predictor is shown (K)."""
    max_frames: Size = 256
    """About how many predicted frames may exist at a time; bounds the memory, not the result."""
    reproducible: bool = True
    """Compare the frames of one environment at a time with its goal, so that an environment's plan does not depend, to
    the last bit, on which others are planned for. False compares those of all environments in one call (as many as
    ``max_frames`` allows), which suits a GPU; float rounding then depends on the number of environments."""
    seed: Seed | tuple[Seed, ...] = 0
    """Where the random numbers come from; see :func:`corrwise.mpc.generator`. With one seed, row i of a batch draws
    from ``(seed, i)``; with a tuple, which has a seed for each row, from ``(seed[i], 0)``, as it would alone."""
    device: str | None = None
    """Where costs are computed, such as ``cuda``; None is where the predictor's weights are, or else the goal."""
