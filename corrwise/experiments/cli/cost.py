"""Which costs there are and what stands behind them; free of torch, as all options are."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from corrwise.experiments.cli.checks import check, check_name

FLOW_NAMES = ("all-pairs", "rigid", "dis", "raft", "zero", "affine", "homography", "learned", "tv-l1")
DIS_PRESET_NAMES = ("ultrafast", "fast", "medium")
BASE_NAMES = ("l1", "mse", "ssim")
CORRESPONDENCE_SUFFIXES = ("", "-reg", "-edge", "-both", "-disp")
CONTROL_NAMES = ("zero-action", "random-action", "state", "exact-flow", "exact-flow-squared")
COST_NAMES = (
    *BASE_NAMES,
    *(f"corr-{base}{suffix}" for base in BASE_NAMES for suffix in CORRESPONDENCE_SUFFIXES),
    *CONTROL_NAMES,
)


@dataclass(frozen=True)
class CostConfig:
    """What stands behind the costs named ``corr-*``."""

    flow: str = "learned"
    """Who finds the correspondence: learned, all-pairs, rigid, dis, raft, zero, tv-l1, or one map fitted to all-pairs:
    affine or homography."""
    scaling: float | None = None
    """Epsilon of flow scaling: the share of the flow that is left unmatched; costs named -reg, -edge and -disp use 0.
    None, here and for the next seven, is the flow's own number (docs/choose_a_flow.md): 0.1."""
    magnitude: float | None = None
    """Weight of the flow's mean length (image widths) in costs named -reg and -both: the paper's 9.0 for images in
    [-1, 1] is 4.5 for ours in [0, 1]."""
    gradient: float | None = None
    """Weight of the flow's mean gradient in the same costs: 2.25, the paper's 4.5 for images in [-1, 1]."""
    edge_magnitude: float | None = None
    """Weight of the flow's mean length (image widths) in costs named -edge: 3.25, the paper's 6.5 for images in
    [-1, 1]."""
    smoothness: float | None = None
    """Weight of the flow's edge-aware smoothness in costs named -edge: 3.25, too."""
    price: float | None = None
    """Intensity that each pixel of displacement to the power costs in costs named -disp: 0.07, 0.1 for learned."""
    power: float | None = None
    """Power of the displacement in costs named -disp: 2.0 for learned, 1.0 for others."""
    occlusion: float | None = None
    """What pixels without a match cost in costs named -disp, times their share: 6.0 for learned, 0 for others."""
    displacement: float | None = None
    """All-pairs flow: intensity (in [0, 1]) that one pixel of displacement costs a match. None is 0.01 for flow
    scaling alone and 0.001 for costs with a suffix, which price the displacement already."""
    patch: int = 3
    """All-pairs flow: pixels to a patch's side: 1, 3, 5 or 7."""
    dis_preset: str = "ultrafast"
    """DIS flow: OpenCV's preset, ultrafast, fast or medium."""
    dis_finest_scale: int = 1
    """DIS flow: 0 computes it at full resolution, 1 at half."""
    raft_weights: str = "Raft_Small_Weights.C_T_V2"
    """RAFT flow: the name of torchvision's weights, which are downloaded once, or a local file."""

    learned_weights: str = "small"
    """Learned flow: the name of shipped weights, or a file that corrwise train-flow wrote."""

    def __post_init__(self) -> None:
        """Refuse what no flow or distance can use."""
        check_name("flow", self.flow, FLOW_NAMES)
        check(self.scaling is None or 0 <= self.scaling <= 1, "scaling", "in [0, 1]", self.scaling)
        for name in ("magnitude", "gradient", "edge_magnitude", "smoothness", "price", "occlusion", "displacement"):
            value = getattr(self, name)
            check(value is None or 0 <= value < inf, name, "zero or above", value)
        check(self.power is None or 1 <= self.power < inf, "power", "at least 1 and finite", self.power)
        check(self.patch in (1, 3, 5, 7), "patch", "1, 3, 5 or 7", self.patch)
        check_name("dis_preset", self.dis_preset, DIS_PRESET_NAMES)
        check(0 <= self.dis_finest_scale <= 16, "dis_finest_scale", "from 0 to 16", self.dis_finest_scale)


FLOW_OPTIONS = {  # whose the options of single flows are
    "displacement": "all-pairs",
    "patch": "all-pairs",
    "dis_preset": "dis",
    "dis_finest_scale": "dis",
    "raft_weights": "raft",
    "learned_weights": "learned",
}
