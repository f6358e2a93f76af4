"""Training: an objective defines what is minimised, and one trainer minimises it."""

from corrwise.predictors.training.distillation import Adversary, Collapse, Distillation
from corrwise.predictors.training.flow_matching import FlowMatching
from corrwise.predictors.training.frame_interpolation import Augmentation, FrameInterpolation
from corrwise.predictors.training.frame_prediction import FramePrediction
from corrwise.predictors.training.learning import Learning, TrainerConfig
from corrwise.predictors.training.objective import Cycle, Loss, Objective, Phase
from corrwise.predictors.training.restoration import Restoration
from corrwise.predictors.training.trainer import Taken, Trainer
from corrwise.predictors.training.warm_start import WarmStart

__all__ = [
    "Adversary",
    "Augmentation",
    "Collapse",
    "Cycle",
    "Distillation",
    "FlowMatching",
    "FrameInterpolation",
    "FramePrediction",
    "Learning",
    "Loss",
    "Objective",
    "Phase",
    "Restoration",
    "Taken",
    "Trainer",
    "TrainerConfig",
    "WarmStart",
]
