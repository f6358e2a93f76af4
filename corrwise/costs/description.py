"""What a cost compares, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrwise.costs.presets import LPIPS, NUMBERS, PERCEPTUAL, SHIFT_TOLERANT

if TYPE_CHECKING:
    from corrwise.costs.spec import CostSpec

__all__ = ["described"]

_COMPARED = {
    "l1": "the mean absolute difference",
    "mse": "the mean squared difference",
    "ssim": "the structural dissimilarity",
    PERCEPTUAL: "the difference of VGG-19 activations",
    LPIPS: "the shift-tolerant LPIPS of AlexNet",
}


def described(spec: CostSpec) -> str:
    """Return the sentence, see ``CostSpec.describe``."""
    shift_tolerant = spec.vgg in SHIFT_TOLERANT
    perceptual = f"the difference of {spec.vgg} activations" if shift_tolerant else _COMPARED[PERCEPTUAL]
    base = perceptual if spec.base == PERCEPTUAL else _COMPARED[spec.base]
    base += f" and {perceptual}" if spec.vgg and spec.base != PERCEPTUAL else ""
    base = base[0].upper() + base[1:]
    if not spec.flow:
        return f"{base} of pixels at the same place."
    settings = spec.settings()
    n = {name: f"{settings[name]:g}" for name in NUMBERS[spec.form]}
    ways = "summed over both directions" if spec.directions == 2 else "in one direction"
    parts = {
        "epsilon": f", with the flow shrunk by epsilon {n.get('epsilon')}",
        "magnitude": f", plus {n.get('magnitude')} x the flow's mean length in image widths",
        "gradient": f", plus {n.get('gradient')} x its mean gradient",
        "smoothness": f", plus {n.get('smoothness')} x its mean gradient where the image has no edge",
        "displacement": f", plus {n.get('displacement')} x the goal's mean displacement in pixels"
        + (f" to the power {n.get('power')}" if n.get("power") != "1" else ""),
        "occlusion": f", plus {n.get('occlusion')} x the share of pixels without a match",
    }
    kept = [parts[name] for name in n if name in parts and (name == "epsilon" or n[name] != "0")]
    return f"{base} of pixels matched by flow {spec.flow}, {ways}{''.join(kept)}."
