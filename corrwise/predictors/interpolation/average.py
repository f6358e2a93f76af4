"""Interpolation without training: the image that is nearest to both frames under a distance between matched pixels."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.correspondence import CorrespondenceWise
from corrwise.costs.distances import l1
from corrwise.costs.spec import CostSpec, as_distance
from corrwise.predictors.average_image import PixelImages, average_image
from corrwise.predictors.interpolation.half_flow import HalfFlow, named_flow
from corrwise.predictors.interpolation.times import check_fixed, views_apart
from corrwise.types import Distance, Flow, Interpolator

__all__ = ["CorrespondenceAverage"]


class CorrespondenceAverage:
    """The image that minimises the summed correspondence-wise distance to both frames (Geng et al., CVPR 2022, A6).

    A sum of two distances knows no other time than the middle, so it is a ``FixedTimes`` interpolator.

    Deviation: the paper does not state how it is minimised; its toy experiment changes the weights of a network whose
    input is noise. Here Adam changes the pixels themselves, from a first guess on. Wherever the image lies between the
    two frames the sum is nearly the same: the guess decides where that is, and the distance makes it like both.

    Args:
        flow: a name in ``corrwise.costs.flow.FLOWS``, or a flow: of the distance and of the first guess.
        distance: a correspondence-wise distance, the name of one, or a ``CostSpec``; None is the paper's corr-L1 over
            this flow.
        start: the interpolator of the first guess; None is ``HalfFlow`` over this flow.
        steps: of Adam.
        lr: its learning rate; images are in [0, 1].

    Raises:
        TypeError: a ``start`` that cannot be called.
        ValueError: an unknown name, steps that are no integer of at least 0, or a learning rate that is not above 0.
    """

    known: tuple[float, ...] = (0.0, 1.0)
    between: tuple[float, ...] = (0.5,)

    def __init__(
        self,
        flow: str | Flow = "dis",
        *,
        distance: str | CostSpec | Distance | None = None,
        start: Interpolator | None = None,
        steps: int = 20,
        lr: float = 0.002,
    ) -> None:
        if type(steps) is not int or steps < 0:
            raise ValueError(f"expected steps as an integer of at least 0, got {steps!r}")
        if not isinstance(lr, int | float) or not (lr > 0 and isfinite(lr)):
            raise ValueError(f"expected lr as a number above 0, got {lr!r}")
        if start is not None and not callable(start):
            raise TypeError(f"expected start as an interpolator, got {start!r}")
        matched = named_flow(flow)
        self.distance = CorrespondenceWise(l1, matched) if distance is None else as_distance(distance, optimized=True)
        self.start = HalfFlow(matched) if start is None else start
        self.steps, self.lr = steps, lr

    def __call__(
        self, frames: Float[Tensor, "B K C h w"], times: Sequence[float | int], wanted: Sequence[float | int]
    ) -> Float[Tensor, "B T C h w"]:
        """Return the frames in the middle of two, in [0, 1].

        Raises:
            TypeError, ValueError: times that are not in the middle of the two (``check_fixed``); what the distance
                refuses; or views with depth.
        """
        places = check_fixed(self, frames, times, wanted)
        if not places:
            return frames[:, :0]
        precise = torch.promote_types(frames.dtype, torch.float32)  # Adam's epsilon is 0 in half precision
        known = frames.detach().to(precise)
        guess = self.start(known, times, wanted[:1])[:, 0]
        with torch.inference_mode(False):  # which makes tensors without gradients, also of copies of others
            first, second, image = (views_apart(each.clone()) for each in (known[:, 0], known[:, 1], guess.detach()))
            both = torch.stack([first, second])
            made = average_image(PixelImages(image), lambda step: both, self.distance, steps=self.steps, lr=self.lr)
        made = made.reshape(guess.shape).to(frames.dtype)
        return made[:, None].repeat(1, len(places), 1, 1, 1)
