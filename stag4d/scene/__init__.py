"""The 4D scene: canonical Gaussians and their HexPlane deformation field, initialization, scene files."""

from .deformation import Deformation, FieldConfig
from .dropping import drop_invalid, valid_frames
from .files import MAX_METADATA_BYTES, load_scene, save_scene
from .first_view import first_view
from .frames import GaussianFrames, pad_frames, stack_frames
from .gaussians import SH_C0, DeformedGaussians, Gaussians, check_values, logit
from .hexplane import HexPlane
from .initialization import gaussians_from_points, random_ball, sample_image, visual_hull
from .model import GaussianModel4D, SceneInfo
from .official import read_official_deformation
from .start import checked_start

__all__ = [
    "MAX_METADATA_BYTES",
    "SH_C0",
    "Deformation",
    "DeformedGaussians",
    "FieldConfig",
    "GaussianFrames",
    "GaussianModel4D",
    "Gaussians",
    "HexPlane",
    "SceneInfo",
    "check_values",
    "checked_start",
    "drop_invalid",
    "first_view",
    "gaussians_from_points",
    "load_scene",
    "logit",
    "pad_frames",
    "random_ball",
    "read_official_deformation",
    "sample_image",
    "save_scene",
    "stack_frames",
    "valid_frames",
    "visual_hull",
]
