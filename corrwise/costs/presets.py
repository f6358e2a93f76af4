"""Which distances and flows have a name, and how each flow's displacement is counted; free of torch.

This is the one place where either is registered: names, what a cost's text may say of a flow, and the flow's preset
stand together, and what they name is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from corrwise.costs.correspondence import CorrespondenceWise
    from corrwise.costs.penalties import Regularizer
    from corrwise.types import Distance, Flow

__all__ = [
    "BASES",
    "DEFAULT_FLOW",
    "FORMS",
    "NAMED_FLOWS",
    "NUMBERS",
    "PRESETS",
    "NamedFlow",
    "Option",
    "Preset",
    "recommended",
]

DEFAULT_FLOW = "learned"

BASES = {  # the base distances, each a function of two images
    "l1": "corrwise.costs.distances:l1",
    "mse": "corrwise.costs.distances:mse",
    "ssim": "corrwise.costs.distances:ssim",
}
PERCEPTUAL = "perceptual"  # base distances with weights
LPIPS = "st-lpips"
SHIFT_TOLERANT = {"st-alex": 21, "st-vgg": 18}  # networks of the second, and the least side of an image in pixels

NUMBERS = {  # what the text of a cost may say in each form, and the field of ``Preset`` with its default
    "scaled": {"epsilon": "scaling"},
    "reg": {"magnitude": "magnitude", "gradient": "gradient"},
    "edge": {"magnitude": "edge_magnitude", "smoothness": "smoothness"},
    "both": {"epsilon": "scaling", "magnitude": "magnitude", "gradient": "gradient"},
    "disp": {"displacement": "displacement", "power": "power", "occlusion": "occlusion"},
}
FORMS = tuple(NUMBERS)


@dataclass(frozen=True)
class Option:
    """What the text of a cost may say behind ``name=``.

    Attributes:
        kind: float, int or str.
        default: what stands for an option that is left out.
        low, high: the ends of a number's range, both included.
        choices: all values that there are; none where the range states it.
    """

    kind: type
    default: Any = None
    low: float | int = 0.0
    high: float | int = inf
    choices: tuple[Any, ...] = ()

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError with the option's name, what it may be and the value, unless it may be that."""
        numeric = self.kind is not str and isinstance(value, int | float) and not isinstance(value, bool)
        if not (isinstance(value, str) and value if self.kind is str else numeric):
            raise ValueError(f"expected {self._wanted} as {name}, got {value!r}")
        fits = value in self.choices if self.choices else self.kind is str or self.low <= value <= self.high
        if not fits or (numeric and (not isfinite(value) or (self.kind is int and value != int(value)))):
            raise ValueError(
                f"expected {self._wanted} as {name}, got {value if isinstance(value, str) else format(value, 'g')}"
            )

    @property
    def _wanted(self) -> str:
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.kind is str:
            return "a name or a file"
        whole = "a whole number" if self.kind is int else "a number"
        return f"{whole} of at least {self.low:g}" if self.high == inf else f"{whole} in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class Preset:
    """What one flow needs in each of the forms in which a distance can count displacement.

    The forms are "scaled": flow scaling alone (Sec. 3.1); "reg": full warp, with the flow's magnitude and gradient as a
    penalty (Eq. 3, as in the paper's L1 models); "edge": the same with edge-aware smoothness in the gradient's place
    (as in its L1 + perceptual models); "both": scaling and the penalty of "reg"; "disp": full warp, plus a penalty on
    how far the second image's pixels were displaced, which for a planner is the goal's, and for some flows an
    occlusion penalty.

    Attributes:
        form: the recommended one.
        scaling: epsilon of the forms "scaled" and "both", without unit.
        magnitude: weight of ``FlowMagnitude`` in "reg" and "both": base distance per image width.
        gradient: weight of ``FlowGradient`` in "reg" and "both": base distance per unit of Sobel(u).
        edge_magnitude: weight of ``FlowMagnitude`` in "edge": base distance per image width.
        smoothness: weight of ``EdgeAwareSmoothness`` in "edge": base distance per unit of Sobel(u).
        displacement: weight of ``Displacement`` in "disp": base distance per pixel to the power.
        power: power of ``Displacement`` in "disp".
        occlusion: occlusion penalty of ``CorrespondenceWise`` in "disp": base distance.
        scaled: options of the flow where scaling alone counts the displacement.
        regularized: options of the flow where a regulariser does.
    """

    form: str = "scaled"
    scaling: float | int = 0.1
    magnitude: float | int = 4.5  # the paper's weights are halved for images in [0, 1], see ``penalties``
    gradient: float | int = 2.25
    edge_magnitude: float | int = 3.25
    smoothness: float | int = 3.25
    displacement: float | int = 0.07  # the paper's magnitude, 4.5 per image width, in pixels of a 64 px image
    power: float | int = 1.0
    occlusion: float | int = 0.0
    scaled: Mapping[str, Any] = field(default_factory=dict)
    regularized: Mapping[str, Any] = field(default_factory=dict)

    def options(self, form: str) -> dict[str, Any]:
        """Return the options of the flow in that form."""
        return dict(self.scaled if form == "scaled" else self.regularized)

    def regularizer(self, form: str) -> Regularizer | None:
        """Return the penalty on the flow in that form."""
        from corrwise.costs.penalties import (
            Displacement,
            EdgeAwareSmoothness,
            FlowGradient,
            FlowMagnitude,
            Regularizers,
        )

        if form == "disp":
            return Displacement(self.displacement, self.power)
        if form == "edge":
            return Regularizers(FlowMagnitude(self.edge_magnitude), EdgeAwareSmoothness(self.smoothness))
        return None if form == "scaled" else Regularizers(FlowMagnitude(self.magnitude), FlowGradient(self.gradient))

    def apply(
        self, distance: Distance, flow: Callable[[Tensor, Tensor], Tensor], form: str, **options: Any
    ) -> CorrespondenceWise:
        """Return the distance between pixels that the flow has matched, with displacement counted in that form.

        Args:
            distance: the base distance.
            flow: what matches the pixels.
            form: one of ``FORMS``.
            options: more options of ``CorrespondenceWise``, such as ``detach_flow``.

        Raises:
            ValueError: an unknown form, or a number that makes no sense.
        """
        from corrwise.costs.correspondence import CorrespondenceWise

        if form not in FORMS:
            raise ValueError(f"expected form to be one of {', '.join(FORMS)}, got {form!r}")
        scaling = self.scaling if form in ("scaled", "both") else 0.0
        counted: dict[str, Any] = {"penalized": "y", "occlusion": self.occlusion} if form == "disp" else {}
        return CorrespondenceWise(
            distance, flow, scaling=scaling, regularizer=self.regularizer(form), **counted, **options
        )


@dataclass(frozen=True)
class NamedFlow:
    """A flow that has a name.

    Attributes:
        path: what makes it, as ``package.module:attribute``.
        preset: how its displacement is counted.
        options: what the text of a cost may say of it; names are those of the factory's arguments, with ``-`` for
            ``_``.
        fixed: arguments that the name stands for.
        smallest: the least side of an image in pixels.
    """

    path: str
    preset: Preset = field(default_factory=Preset)
    options: Mapping[str, Option] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    smallest: int = 16

    def factory(self) -> Callable[..., Flow]:
        """Import what makes the flow."""
        module, _, attribute = self.path.partition(":")
        made: Callable[..., Flow] = getattr(import_module(module), attribute)
        return partial(made, **self.fixed) if self.fixed else made


_PATCH = Option(int, 3, choices=(1, 3, 5, 7))
_PENALTY = {"penalty": Option(float, 0.01)}
# One map fitted to all-pairs flow is as far-sighted as that flow, and needs its weights.
_FITTED = Preset(form="reg", regularized={"penalty": 0.001})

NAMED_FLOWS: Mapping[str, NamedFlow] = {
    # Finds a body however far it is, so its displacement can be trusted to grow. ``penalty`` is intensity per pixel of
    # a match: with a regulariser 0.01 leaves far objects unmatched, and the cost then falls with their distance; with
    # scaling alone nothing else keeps a match from running far for a little less residual.
    "all-pairs": NamedFlow(
        "corrwise.costs.flow.matching.all_pairs:AllPairsFlow",
        Preset(form="reg", scaled={"penalty": 0.01}, regularized={"penalty": 0.001}),
        {"patch": _PATCH, **_PENALTY, "temperature": Option(float, low=1e-6)},
        smallest=3,
    ),
    # The same with neighbours that vote: a sixth to a half of the errors (ant, humanoid), in twice the time or more.
    "rigid": NamedFlow(
        "corrwise.costs.flow.matching.all_pairs:AllPairsFlow",
        Preset(form="disp"),
        {
            "patch": Option(int, 5, choices=_PATCH.choices),
            "penalty": Option(float, 0.001),
            "rigidity": Option(float, 0.015),
        },
        fixed={"patch": 5, "penalty": 0.001, "rigidity": 0.015},
        smallest=3,
    ),
    # Beyond its reach of a few pixels it finds less motion than there is, and a penalty on the motion falls with the
    # distance; the residual of scaling does not.
    "dis": NamedFlow(
        "corrwise.costs.flow.dis:DISFlow",
        options={
            "preset": Option(str, "ultrafast", choices=("ultrafast", "fast", "medium")),
            "finest-scale": Option(int, 1),
        },
    ),
    # From coarse to fine as well: it loses a body that moved farther than it is wide. Its weights are not options: the
    # forms "reg" and "edge" have numbers of the same names.
    "tv-l1": NamedFlow(
        "corrwise.costs.flow.variational:TVL1Flow",
        options={"warps": Option(int, 3, low=1), "iterations": Option(int, 20, low=1)},
    ),
    # The paper's own choice.
    "raft": NamedFlow(
        "corrwise.costs.flow.raft:RAFTFlow",
        options={"weights": Option(str, "Raft_Small_Weights.C_T_V2"), "updates": Option(int, 5, low=1)},
        fixed={"weights": "Raft_Small_Weights.C_T_V2"},
        smallest=32,
    ),
    # It finds no displacement that a regulariser could count.
    "zero": NamedFlow("corrwise.costs.flow.zero:ZeroFlow", smallest=1),
    "affine": NamedFlow("corrwise.costs.flow.parametric:AffineFit", _FITTED, _PENALTY, smallest=3),
    "homography": NamedFlow("corrwise.costs.flow.parametric:HomographyFit", _FITTED, _PENALTY, smallest=3),
    # Trained to tell where a body is however far it went: its displacement is what a planner wants to shrink.
    # The displacement decides, squared as the state distance is made of squares, and the residual breaks ties; what
    # cannot be matched both ways costs, too, or a planner finds the candidates at which the net errs in its favour.
    "learned": NamedFlow(
        "corrwise.costs.flow.learned.estimator:LearnedFlow",
        Preset(form="disp", displacement=0.1, power=2.0, occlusion=6.0),
        {"weights": Option(str, "small"), "refinements": Option(int, 1, low=1)},
    ),
}

PRESETS: dict[str, Preset] = {name: flow.preset for name, flow in NAMED_FLOWS.items()}


def recommended(
    distance: Distance, flow: str = DEFAULT_FLOW, *, form: str | None = None, **options: Any
) -> CorrespondenceWise:
    """Return ``distance`` between pixels matched by a named flow, with the displacement counted as it should be.

    The weights are the paper's for an L1 of images in [0, 1], and were chosen for it; another base distance has another
    unit, in which they weigh more or less.

    Args:
        distance: the base distance, such as ``l1``.
        flow: a name in ``FLOWS``.
        form: one of ``FORMS``; None is the flow's own recommended one.
        options: more options of the flow, such as ``weights`` of "raft".

    Raises:
        ValueError: an unknown flow or form, or options that the flow refuses.
        FileNotFoundError, RuntimeError: the flow's weights are missing.
    """
    from corrwise.costs.flow import FLOWS

    if flow not in FLOWS:
        raise ValueError(f"expected flow to be one of {', '.join(FLOWS)}, got {flow!r}")
    preset = PRESETS[flow]
    chosen = preset.form if form is None else form
    try:
        made = FLOWS[flow](**{**preset.options(chosen), **options})
    except TypeError as error:
        raise ValueError(f"flow {flow!r} has no such options: {error}") from error
    return preset.apply(distance, made, chosen)
