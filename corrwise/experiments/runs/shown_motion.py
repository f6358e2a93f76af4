"""What the training of a few-step student shows of motion: frames above their flow, and how far pixels move."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.flow import FLOWS
from corrwise.costs.motion.score import forward_flows, lengths
from corrwise.costs.presets import DEFAULT_FLOW
from corrwise.experiments.cli.distilling import PIXELS
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.report.flows import flow_frames
from corrwise.predictors.training.frame_prediction import rows_of_frames
from corrwise.types import Flow

__all__ = ["ShownMotion"]


class ShownMotion:
    """The motion of held-out windows and of a student's samples, by the flow that its adversary sees.

    Distillation alone, and an adversary of pixels, have no flow: the default one is taken.

    Args:
        config: of the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        seen = config.adversary.flow if config.objective == "mogan" else DEFAULT_FLOW
        self._flow: Flow = FLOWS[DEFAULT_FLOW if seen == PIXELS else seen]()
        self._seen = config.context - 1

    def of(
        self, frames: Float[Tensor, "n T 3 h w"], made: Float[Tensor, "n t 3 h w"], *, shown: int
    ) -> tuple[Float[Tensor, "3 H W"], dict[str, Tensor]] | None:
        """Return an image and flow lengths by name, ``real`` and ``generated``, in pixels a frame.

        The image has four rows for each window, from the last frame that is seen on: true frames, their flow, sampled
        frames, and their flow. None where a sampled frame is not finite: it has no motion.

        Args:
            frames: true ones, with the context.
            made: the student's, in place of those after the context.
            shown: windows that have rows in the image.
        """
        if not made.isfinite().all():
            return None
        true = frames[:, self._seen :].cpu().float()
        videos = {"real": true, "generated": torch.cat([true[:, :1], made.cpu().float()], dim=1).clamp(0, 1)}
        with torch.no_grad():
            flows = {name: forward_flows(self._flow, video) for name, video in videos.items()}
        rows = []
        for name, video in videos.items():
            colours = np.ascontiguousarray(flow_frames(flows[name][:shown], flows["real"][:shown]))
            drawn = torch.from_numpy(colours).permute(0, 1, 4, 2, 3).to(torch.float32) / 255
            rows += [video[:shown], drawn]
        return rows_of_frames(torch.stack(rows, dim=1)), {name: lengths(flow) for name, flow in flows.items()}
