"""Interpolators as text: a name with options, or the folder of a trained network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from corrwise.costs.flow.networks import network_hash
from corrwise.experiments.cli.mpc import INTERPOLATOR_NAMES
from corrwise.experiments.cli.options import device_named, named_options
from corrwise.experiments.cli.train import INTERPOLATING
from corrwise.experiments.runs.distances import network_of
from corrwise.predictors.interpolation import load_interpolator, make_interpolator
from corrwise.predictors.models.pretrained import model_folder, weights_hash
from corrwise.types import Interpolator

__all__ = ["interpolator_of", "weights_of"]


def interpolator_of(text: str, options: Sequence[str] = (), *, device: str = "cpu") -> Interpolator:
    """Return the interpolator of a text such as ``blend``, ``half-flow:flow=dis`` or ``runs/flavr``.

    Args:
        text: a registered name with options, or the folder of a run of ``corrwise train`` or of its model.
        options: more options of a registered one, such as ``flow=dis``.
        device: where a trained network computes, as ``--device`` names it.

    Raises:
        FileNotFoundError, ValueError: there is no such interpolator, or it has no such options.
        RuntimeError: a GPU is asked for, and there is none.
    """
    head = text.partition(":")[0]
    if head in INTERPOLATING and not model_folder(text).is_dir():
        raise ValueError(
            f"expected the folder of a trained {head}, see corrwise train --objective interpolate, got {text}"
        )
    if head in INTERPOLATOR_NAMES:
        name, values = named_options(text, options)
        return make_interpolator(name, **values)
    if options:
        raise ValueError(f"options must be left out with a trained interpolator, got {' '.join(options)}")
    return load_interpolator(model_folder(text)).to(device_named(device))


def weights_of(text: str, model: Interpolator) -> str | None:
    """Return a hash of the weights of an interpolator or of its flow; None without any."""
    if isinstance(model, nn.Module):
        return weights_hash(model_folder(text))
    flow = getattr(model, "flow", None)
    return network_of(getattr(model, "distance", None)) if flow is None else network_hash(flow)
