"""Motion of clips: maps of optical flow, and a discriminator that sees them alone."""

from corrwise.costs.motion.flow_maps import flow_maps

__all__ = ["flow_maps"]
