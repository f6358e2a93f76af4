"""How videos move: maps of their motion, a discriminator that sees these maps alone, and scores."""

from corrwise.costs.motion.flow_maps import flow_maps

__all__ = ["flow_maps"]
