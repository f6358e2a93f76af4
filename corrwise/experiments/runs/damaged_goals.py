"""Goals of ``corrwise mpc`` that are damaged, and restored before planning."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from corrwise.experiments.cli.mpc import INPAINT, MPCConfig
from corrwise.experiments.cli.options import device_named
from corrwise.experiments.runs.damages import StatedDamage, carrier_for, stated_damage
from corrwise.predictors.models.pretrained import model_folder, model_hash
from corrwise.predictors.restoration import (
    Guidance,
    Masking,
    NoiseCarrier,
    Operator,
    RestorationModel,
    first_guess,
)
from corrwise.predictors.restoration.goals import restored_video

__all__ = ["DamagedGoals", "damage_settings", "damaged_goals_of", "restored_by", "restorer_weights"]


@dataclass(frozen=True)
class DamagedGoals:
    """Damages goals, and restores them where there is a model.

    Attributes:
        damage: of each frame.
        inpaint: whether missing pixels are filled without a model.
        model: restores the frames; None without one.
        carrier: of the model's noise; None without a model.
        guidance: of each restored frame of a video by the one before; None is without.
        weights: a hash of the model's weights; None without a model.
    """

    damage: StatedDamage
    inpaint: bool = False
    model: RestorationModel | None = None
    carrier: NoiseCarrier | None = None
    guidance: Guidance | None = None
    weights: str | None = None

    def __call__(self, video: Float32[Tensor, "T 3 h w"], seed: int) -> Float32[Tensor, "T 3 h w"]:
        """Return the goal video, or the goal image as a video of one frame, that is planned towards.

        Frames are padded at the bottom and right to sides that damage and network take, and cut again.

        Args:
            video: the whole one, in [0, 1].
            seed: of the episode: of the damage, and of the restoration's noise.

        Raises:
            ValueError: a model whose output is not finite.
        """
        height, width = video.shape[-2:]
        side = lcm(1 if self.model is None else self.model.network.side, self.damage.factor)
        device = video.device if self.model is None else next(self.model.parameters()).device
        whole = F.pad(video, (0, -width % side, 0, -height % side), mode="replicate").to(device)
        sizes = (height, width), (whole.shape[-2], whole.shape[-1])
        operators = [self.damage.operator(number, *sizes, seed, device) for number in range(len(whole))]
        observed = [each.apply(frame[None])[0] for each, frame in zip(operators, whole, strict=True)]
        return self._planned(operators, observed, seed)[..., :height, :width].clamp(0, 1).to(video.device)

    def _planned(
        self, operators: list[Operator], observed: list[Float[Tensor, "3 oh ow"]], seed: int
    ) -> Float[Tensor, "T 3 h w"]:
        if self.model is None:
            show = first_guess if self.inpaint else _as_seen
            return torch.stack([show(*pair) for pair in zip(operators, observed, strict=True)])
        assert self.carrier is not None
        pairs = list(zip(operators, observed, strict=True))
        made = restored_video(self.model, pairs, self.carrier, guidance=self.guidance, seed=seed)
        if not made.isfinite().all():
            raise ValueError("the model of --restore gives values that are NaN")
        return made


def _as_seen(operator: Operator, observed: Float[Tensor, "3 oh ow"]) -> Float[Tensor, "3 h w"]:
    """Return a damaged frame of full size: missing pixels are black, as a camera delivers them."""
    return observed if isinstance(operator, Masking) else operator.filled(observed[None])[0]


def damaged_goals_of(config: MPCConfig) -> DamagedGoals | None:
    """Return what damages and restores the goals of a configuration; None where they stay whole.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: a damage, a model, a carrier or a device that cannot be used.
    """
    if config.damage is None:
        return None
    damage = stated_damage(config.damage)
    damage.check_size("goal", (config.size, config.size))
    if config.restore == INPAINT and damage.factor > 1:
        raise ValueError(f"expected a damage with missing pixels for --restore {INPAINT}, got {damage.drawn}")
    if config.restore in (None, INPAINT):
        return DamagedGoals(damage, inpaint=config.restore == INPAINT)
    model = (
        RestorationModel.from_pretrained(model_folder(str(config.restore)))
        .to(device_named(config.device))
        .requires_grad_(False)
    )
    if model.config.channels != 3:
        raise ValueError(f"expected a model of images with 3 channels in {config.restore}, got {model.config.channels}")
    carrier, guidance = carrier_for(config.restore_carrier, model), Guidance(strength=config.restore_guidance)
    return DamagedGoals(damage, False, model, carrier, guidance, restorer_weights(config))


def restorer_weights(config: MPCConfig) -> str | None:
    """Return a hash of the weights and the configuration of the model that restores goals; None without one.

    Raises:
        FileNotFoundError, ValueError: there is no such model.
    """
    return None if config.restore in (None, INPAINT) else model_hash(model_folder(str(config.restore)))


def damage_settings(config: MPCConfig) -> dict[str, str]:
    """Return what damaged goals depend on beside the options: the mask, and a hash of the model's weights.

    A damage that the model was not trained for is a warning.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: see ``damaged_goals_of``.
    """
    made = damaged_goals_of(config)
    if made is None:
        return {}
    if made.model is not None:
        made.model.warn_untrained(made.damage.factor)
    weights = {} if made.weights is None else {"restore_network": made.weights}
    return {"damage": made.damage.stamp, **weights}


def restored_by(text: str) -> str:
    """Return ``--restore`` as rows depend on it: a model may lie in any folder, its weights have a setting."""
    return text if text == INPAINT else "model"
