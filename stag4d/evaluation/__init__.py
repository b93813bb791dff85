"""How good renders are: metrics, and truth to compare with."""

from .metrics import compare, compare_on_white, on_white, psnr, silhouette_iou, ssim
from .truth import RenderFolder, evaluate_folder, read_render_folder

__all__ = [
    "RenderFolder",
    "compare",
    "compare_on_white",
    "evaluate_folder",
    "on_white",
    "psnr",
    "read_render_folder",
    "silhouette_iou",
    "ssim",
]
