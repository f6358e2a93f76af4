"""How videos move: maps of their motion, a discriminator that sees these maps alone, and scores."""

from corrwise.costs.motion.adversarial import discriminator_loss, generator_loss, noise_penalty, window, window_start
from corrwise.costs.motion.discriminator import MotionDiscriminator, MotionDiscriminatorConfig
from corrwise.costs.motion.flow_maps import flow_maps
from corrwise.costs.motion.trunks import Trunk

__all__ = [
    "MotionDiscriminator",
    "MotionDiscriminatorConfig",
    "Trunk",
    "discriminator_loss",
    "flow_maps",
    "generator_loss",
    "noise_penalty",
    "window",
    "window_start",
]
