"""The optimization of a scene: losses, regularizers, densification, schedules, presets and the loop."""

from .config import BatchConfig, OptimizationConfig, PresetName, StartConfig, auto_preset, preset
from .densification import AdaptivePercentile, DensificationConfig, DensificationStrategy, FixedThreshold
from .guidance import GuidanceConfig, GuidanceDenoiser
from .history import FitHistory
from .losses import LossWeights
from .parameters import LearningRates
from .perceptual_loss import check_render_sizes
from .regularizers import RegularizerWeights
from .schedules import LogLinear
from .score_distillation import ScoreDistillation, SdsSamples, conditioning_camera
from .trainer import Trainer
from .training_views import TrainingViews

__all__ = [
    "AdaptivePercentile",
    "BatchConfig",
    "DensificationConfig",
    "DensificationStrategy",
    "FitHistory",
    "FixedThreshold",
    "GuidanceConfig",
    "GuidanceDenoiser",
    "LearningRates",
    "LogLinear",
    "LossWeights",
    "OptimizationConfig",
    "PresetName",
    "RegularizerWeights",
    "ScoreDistillation",
    "SdsSamples",
    "StartConfig",
    "Trainer",
    "TrainingViews",
    "auto_preset",
    "check_render_sizes",
    "conditioning_camera",
    "preset",
]
