"""Evaluation of renders: image metrics, flicker, ground truth folders, and Consistent4D's protocol."""

from ..lpips import PerceptualDistance, load_perceptual_distance
from .flicker import FlickerMeter, TemporalDifferenceMeter, flicker, relative_flicker
from .learned import LearnedMetrics, clip_similarity
from .metrics import compare, compare_on_white, masked_psnr, mean, on_white, psnr, silhouette_iou, ssim
from .truth import RenderFolder, evaluate_folder, read_render_folder

__all__ = [
    "FlickerMeter",
    "LearnedMetrics",
    "PerceptualDistance",
    "RenderFolder",
    "TemporalDifferenceMeter",
    "clip_similarity",
    "compare",
    "compare_on_white",
    "evaluate_folder",
    "flicker",
    "load_perceptual_distance",
    "masked_psnr",
    "mean",
    "on_white",
    "psnr",
    "read_render_folder",
    "relative_flicker",
    "silhouette_iou",
    "ssim",
]
