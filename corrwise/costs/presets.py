"""How each flow's displacement is counted: the documented defaults, and ready distances made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from corrwise.costs.correspondence import CorrespondenceWise
from corrwise.costs.flow import FLOWS, AllPairsFlow
from corrwise.costs.penalties import (
    PAPER_L1,
    PAPER_L1_PERCEPTUAL,
    Displacement,
    EdgeAwareSmoothness,
    FlowGradient,
    FlowMagnitude,
    Regularizer,
    Regularizers,
)
from corrwise.types import Distance

__all__ = ["FORMS", "PRESETS", "Preset", "recommended"]

FORMS = ("scaled", "reg", "edge", "both", "disp")


@dataclass(frozen=True)
class Preset:
    """What one flow needs in each of the forms in which a distance can count displacement.

    The forms are "scaled": flow scaling alone (Sec. 3.1); "reg": full warp, with the flow's magnitude and gradient as a
    penalty (Eq. 3, as in the paper's L1 models); "edge": the same with edge-aware smoothness in the gradient's place
    (as in its L1 + perceptual models); "both": scaling and the penalty of "reg"; "disp": full warp, plus a price
    for how far the second image's pixels were displaced, which for a planner is the goal's, and for some flows an
    occlusion penalty.

    Attributes:
        form: the recommended one.
        scaling: epsilon of the forms "scaled" and "both", without unit.
        magnitude: weight of ``FlowMagnitude`` in "reg" and "both": base distance per image width.
        gradient: weight of ``FlowGradient`` in "reg" and "both": base distance per unit of Sobel(u).
        edge_magnitude: weight of ``FlowMagnitude`` in "edge": base distance per image width.
        smoothness: weight of ``EdgeAwareSmoothness`` in "edge": base distance per unit of Sobel(u).
        price: weight of ``Displacement`` in "disp": base distance per pixel to the power.
        power: power of ``Displacement`` in "disp".
        occlusion: occlusion penalty of ``CorrespondenceWise`` in "disp": base distance.
        scaled: options of the flow where scaling alone counts the displacement.
        regularized: options of the flow where a regulariser does.
    """

    form: str = "scaled"
    scaling: float = 0.1
    magnitude: float = PAPER_L1[0]
    gradient: float = PAPER_L1[1]
    edge_magnitude: float = PAPER_L1_PERCEPTUAL[0]
    smoothness: float = PAPER_L1_PERCEPTUAL[1]
    price: float = 0.07  # the paper's magnitude, 4.5 per image width, in pixels of a 64 px image
    power: float = 1.0
    occlusion: float = 0.0
    scaled: Mapping[str, Any] = field(default_factory=dict)
    regularized: Mapping[str, Any] = field(default_factory=dict)

    def options(self, form: str) -> dict[str, Any]:
        """Return the options of the flow in that form."""
        return dict(self.scaled if form == "scaled" else self.regularized)

    def regularizer(self, form: str) -> Regularizer | None:
        """Return the penalty on the flow in that form."""
        if form == "disp":
            return Displacement(self.price, self.power)
        if form == "edge":
            return Regularizers(FlowMagnitude(self.edge_magnitude), EdgeAwareSmoothness(self.smoothness))
        return None if form == "scaled" else Regularizers(FlowMagnitude(self.magnitude), FlowGradient(self.gradient))

    def apply(self, distance: Distance, flow: Callable[[Tensor, Tensor], Tensor], form: str) -> CorrespondenceWise:
        """Return the distance between pixels that the flow has matched, with displacement counted in that form.

        Raises:
            ValueError: an unknown form, or a number that makes no sense.
        """
        if form not in FORMS:
            raise ValueError(f"expected form to be one of {', '.join(FORMS)}, got {form!r}")
        scaling = self.scaling if form in ("scaled", "both") else 0.0
        counted: dict[str, Any] = {"penalized": "y", "occlusion": self.occlusion} if form == "disp" else {}
        return CorrespondenceWise(distance, flow, scaling=scaling, regularizer=self.regularizer(form), **counted)


# One map fitted to all-pairs flow is as far-sighted as that flow, and needs its prices.
_FITTED = Preset(form="reg", regularized={"flow": AllPairsFlow(penalty=0.001)})

PRESETS = {
    # Finds a body however far it is, so its displacement can be trusted to grow. ``penalty`` is intensity per pixel of
    # a match: with a regulariser 0.01 leaves far objects unmatched, and the cost then falls with their distance; with
    # scaling alone nothing else keeps a match from running far for a little less residual.
    "all-pairs": Preset(form="reg", scaled={"penalty": 0.01}, regularized={"penalty": 0.001}),
    # The same with neighbours that vote: a sixth to a half of the errors (ant, humanoid), in twice the time or more.
    "rigid": Preset(form="disp"),
    # Beyond its reach of a few pixels it finds less motion than there is, and a penalty on the motion falls with the
    # distance; the residual of scaling does not.
    "dis": Preset(form="scaled"),
    "tv-l1": Preset(form="scaled"),  # from coarse to fine as well: it loses a body that moved farther than it is wide
    "raft": Preset(form="scaled"),  # the paper's own choice
    "zero": Preset(form="scaled"),  # it finds no displacement that a regulariser could count
    "affine": _FITTED,
    "homography": _FITTED,
    # Trained to tell where a body is however far it went: its displacement is what a planner wants to shrink.
    # The displacement decides, squared as the state distance is made of squares, and the residual settles ties; what
    # cannot be matched both ways costs, too, or a planner finds the candidates at which the net errs in its favour.
    "learned": Preset(form="disp", price=0.1, power=2.0, occlusion=6.0),
}


def recommended(
    distance: Distance, flow: str = "learned", *, form: str | None = None, **options: Any
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
        FileNotFoundError, RuntimeError: the flow's weights cannot be had.
    """
    if flow not in FLOWS:
        raise ValueError(f"expected flow to be one of {', '.join(FLOWS)}, got {flow!r}")
    preset = PRESETS[flow]
    chosen = preset.form if form is None else form
    try:
        made = FLOWS[flow](**{**preset.options(chosen), **options})
    except TypeError as error:
        raise ValueError(f"flow {flow!r} has no such options: {error}") from error
    return preset.apply(distance, made, chosen)
