"""What a run that teaches a few-step student optimises: the student, its teacher and the adversary."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from corrwise.costs.flow import FLOWS, ZeroFlow
from corrwise.costs.motion import MotionDiscriminator, MotionDiscriminatorConfig, flow_maps
from corrwise.costs.presets import NAMED_FLOWS
from corrwise.experiments.cli.distilling import PIXELS, AdversaryOptions
from corrwise.experiments.cli.train import FLOW_MATCHING, TrainConfig
from corrwise.predictors.generative import make_time_law
from corrwise.predictors.generative.denoiser import Denoiser
from corrwise.predictors.generative.denoiser_trunk import DenoiserTrunk
from corrwise.predictors.generative.distillation import student_of
from corrwise.predictors.models.pretrained import about_model, check_start, model_folder, model_stride
from corrwise.predictors.models.registry import load_model
from corrwise.predictors.training import Adversary, Distillation, Learning
from corrwise.predictors.training.distillation import Maps
from corrwise.predictors.training.trainer import CHECKPOINT
from corrwise.types import has_gradient

__all__ = ["adversary_of", "check_flow_size", "distillation", "learning_of", "maps_of", "teacher_of"]


def teacher_of(config: TrainConfig) -> Denoiser:
    """Return the teacher.

    Raises:
        FileNotFoundError: there is no model.
        ValueError: a model that was not trained by flow matching, or with another stride or number of context frames;
            or weights that are not finite.
    """
    folder = model_folder(config.teacher)
    teacher, loss = load_model(folder), about_model(folder)["about"].get("loss", FLOW_MATCHING)
    if not isinstance(teacher, Denoiser) or loss != FLOW_MATCHING:
        raise ValueError(f"expected a teacher trained by --objective {FLOW_MATCHING}, got {config.teacher}")
    _check_finite("a teacher", teacher, config.teacher)
    stride = model_stride(folder)
    if stride != config.stride:
        raise ValueError(f"expected --stride {stride}, as of the teacher, got {config.stride}")
    if teacher.config.context != config.context:
        raise ValueError(f"expected --context {teacher.config.context}, as of the teacher, got {config.context}")
    return teacher


def student(config: TrainConfig, teacher: Denoiser, action_dim: int, size: tuple[int, int]) -> Denoiser:
    """Return the student: the teacher with few evaluations, or the student of ``--init-from``.

    Raises:
        FileNotFoundError: there is no model in ``--init-from``.
        ValueError: a teacher of other actions or another size than the clips', or another student in --init-from.
    """
    known = about_model(model_folder(config.teacher))["about"].get("clips", {}).get("size")
    if known is not None and tuple(known) != size:
        raise ValueError(f"expected clips of (height, width) = {tuple(known)}, as the teacher's, got {size}")
    if teacher.config.action_dim != action_dim:
        without = teacher.config.action_dim == 0
        hint = "; --no-actions leaves them out" if without else "" if config.actions else " with --no-actions"
        raise ValueError(
            f"expected clips with the teacher's {teacher.config.action_dim} actions a step, got {action_dim}{hint}"
        )
    made = student_of(teacher, config.sample_at).requires_grad_(True)
    if config.init_from and not (config.out / CHECKPOINT).exists():
        model = load_model(model_folder(config.init_from))
        check_start(model, made.name, made.config, config.init_from)
        _check_finite("a student", model, config.init_from)
        made.load_state_dict(model.state_dict())
    return made


def _check_finite(what: str, model: nn.Module, where: object) -> None:
    if not all(bool(each.isfinite().all()) for each in model.state_dict().values()):
        raise ValueError(f"expected {what} with finite weights, got {where}")


def learning_of(config: TrainConfig) -> dict[str, Learning]:
    """Return how each network learns. The discriminator's mean of gradients has no memory, as in Self Forcing."""
    one = Learning(config.lr, max_grad_norm=config.max_grad_norm)
    return {
        "model": Learning(config.lr, max_grad_norm=config.max_grad_norm, ema=config.ema),
        "fake score": one,
        "discriminator": Learning(config.adversary.lr, betas=(0.0, 0.999), max_grad_norm=config.max_grad_norm),
    }


def distillation(config: TrainConfig, action_dim: int, size: tuple[int, int]) -> Distillation:
    """Return the objective of a run, with the student that it begins with.

    Args:
        config: what to train.
        action_dim: of the clips.
        size: (H, W) of the clips.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: no teacher or student, weights of the flow that are missing, models
            that do not fit each other or the clips, or a flow without gradients.
    """
    teacher = teacher_of(config)
    learner = student(config, teacher, action_dim, size)
    options = config.adversary
    if config.objective == "mogan":
        check_flow_size(options.flow, min(config.crop or min(size), *size), "--adversary.flow")
    adversary = adversary_of(options, teacher, config.seed) if config.objective == "mogan" else None
    return Distillation(
        learner, teacher, make_time_law(config.student_time_law), adversary,
        fake_steps=config.fake_steps, warm_up=options.warm_up, total=config.steps, matching=options.matching,
    )  # fmt: skip


def adversary_of(options: AdversaryOptions, teacher: Denoiser, seed: int) -> Adversary:
    """Return a fresh discriminator, and how it counts.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: see ``distillation``.
    """
    trunk = DenoiserTrunk(teacher) if options.trunk == "teacher" else None
    sizes = MotionDiscriminatorConfig(
        trunk="conv" if options.trunk == "conv" else "transformer", width=options.width, depth=options.depth,
        branch_width=options.width, recompute=options.recompute,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = MotionDiscriminator(sizes, trunk)
    return Adversary(
        network, maps_of(options.flow), generator_weight=options.weight, discriminator_weight=options.weight,
        r1=options.r1, r2=options.r2, sigma=options.sigma, divide=options.divide, window=options.window,
        most=options.most, least=options.least if options.flow != PIXELS else None,
    )  # fmt: skip


def check_flow_size(flow: str, side: int, option: str) -> None:
    """Refuse images that are too small for a flow, before hours of training.

    Raises:
        ValueError: images with a shorter side than the flow takes.
    """
    smallest = 1 if flow == PIXELS else NAMED_FLOWS[flow].smallest
    if side < smallest:
        raise ValueError(f"expected images of at least {smallest} px for {option} {flow}, got a side of {side}")


def maps_of(flow: str) -> Maps:
    """Return what makes the maps that a discriminator sees, by the name of a flow, or of the frames themselves.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: weights of the flow that are missing, or a flow without gradients.
    """
    if flow == PIXELS:
        return _centred
    estimator = FLOWS[flow]()
    if not has_gradient(estimator) or isinstance(estimator, ZeroFlow):
        raise ValueError(
            f"expected a flow with gradients, such as tv-l1, learned or raft, for --adversary.flow, got {flow}"
        )
    return partial(flow_maps, estimator)


def _centred(frames: Tensor) -> Tensor:
    return 2 * frames - 1
