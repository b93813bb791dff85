"""Evaluation of renders: image metrics, flicker, and ground truth folders."""

from .flicker import FlickerMeter, TemporalDifferenceMeter, flicker, relative_flicker
from .metrics import compare, compare_on_white, masked_psnr, mean, on_white, psnr, silhouette_iou, ssim
from .truth import RenderFolder, evaluate_folder, read_render_folder

__all__ = [
    "FlickerMeter",
    "RenderFolder",
    "TemporalDifferenceMeter",
    "compare",
    "compare_on_white",
    "evaluate_folder",
    "flicker",
    "masked_psnr",
    "mean",
    "on_white",
    "psnr",
    "read_render_folder",
    "relative_flicker",
    "silhouette_iou",
    "ssim",
]
