"""The fit: losses, regularisers, densification, schedules, presets and the loop that ties them together."""

from .config import BatchConfig, OptimizationConfig, PresetName, StartConfig, preset
from .densification import AdaptivePercentile, DensificationConfig, DensificationStrategy, FixedThreshold
from .guidance import GuidanceConfig, ImagePrior, PosedDenoiser
from .losses import LossWeights
from .parameters import LearningRates
from .regularizers import RegularizerWeights
from .schedules import LogLinear
from .score_distillation import ScoreDistillation, SdsDraws, anchor_camera
from .trainer import Trainer

__all__ = [
    "AdaptivePercentile",
    "BatchConfig",
    "DensificationConfig",
    "DensificationStrategy",
    "FixedThreshold",
    "GuidanceConfig",
    "ImagePrior",
    "LearningRates",
    "LogLinear",
    "LossWeights",
    "OptimizationConfig",
    "PosedDenoiser",
    "PresetName",
    "RegularizerWeights",
    "ScoreDistillation",
    "SdsDraws",
    "StartConfig",
    "Trainer",
    "anchor_camera",
    "preset",
]
