"""The four pose numbers that Zero123 models are conditioned on, of which the last differs between models.

Nothing in a folder as published tells Stable-Zero123 from Zero123-XL: layout and dimensions are the same.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal, get_args

from ..geometry import OrbitPose, turn_between
from .json_files import shown
from .model_index import model_root, pipeline_class, read_index, settings_of
from .model_version import VersionPatterns, resolve_version

PoseConditioning = Literal["zero123", "stable-zero123"]
"""zero123: the last number is the difference of the radii; stable-zero123: the condition's polar angle."""

POSE_NUMBERS = 4  # difference of the polar angles, sine and cosine of that of the azimuths, and the last
_SETTING = "pose_conditioning"
_PATTERNS: dict[PoseConditioning, VersionPatterns] = {
    "stable-zero123": VersionPatterns(
        re.compile(r"stable[-_ ]?zero[-_ ]?123", re.I), re.compile(r"stable", re.I)
    )
}


def pose_numbers(
    condition: OrbitPose, target: OrbitPose, conditioning: PoseConditioning = "zero123"
) -> list[float]:
    """Return the conditioning of a Zero123 model on two poses.

    Args:
        condition: Pose of the conditioning image.
        target: Pose of the image that the model denoises.
        conditioning: Meaning of the last number. The difference of the radii is 0, since all cameras count as
            equally distant; the polar angle is in radians from the vertical axis.
    """
    last = math.radians(90 - condition.elevation_deg) if conditioning == "stable-zero123" else 0.0
    return [*turn_between(condition, target), last]


def read_pose_conditioning(
    folder: str | Path, chosen: PoseConditioning | None = None
) -> tuple[PoseConditioning, str]:
    """Return what ``pose_conditioning_of`` does for the model in a folder, without loading its networks.

    Raises:
        FileNotFoundError: if it has no index.
        ValueError: if the index is damaged, or the pose conditioning is unclear.
    """
    root = model_root(folder)
    return pose_conditioning_of(read_guidance_index(root), root, chosen)


def read_guidance_index(root: Path) -> dict[str, Any]:
    """Return the index of a Zero123 model.

    Raises:
        FileNotFoundError: if it has no index.
        ValueError: if it holds a model of another kind, or the index is damaged.
    """
    index = read_index(root, "a folder in diffusers' layout, as zero123-xl is published")
    if "clip_camera_projection" not in index:
        raise ValueError(
            f"{root}: holds a {pipeline_class(index)}; expected a Zero123 model, which has a "
            "clip_camera_projection."
        )
    return index


def pose_conditioning_of(
    index: dict[str, Any], folder: Path, chosen: PoseConditioning | None
) -> tuple[PoseConditioning, str]:
    """Return the pose conditioning of a model, and a sentence about what was assumed, else an empty one.

    Args:
        index: The model's index. Its only setting is ``pose_conditioning``.
        folder: The model's folder. Where no setting states it, a model that its files call Stable-Zero123 is
            one, and any other is assumed to be conditioned as Zero123-XL is.
        chosen: The user's choice, which takes precedence.

    Raises:
        ValueError: if the settings are malformed, or only the folder's name suggests Stable-Zero123.
    """
    known = get_args(PoseConditioning)
    settings = settings_of(index, [_SETTING])
    if chosen is not None:
        if chosen not in known:
            raise ValueError(f"pose conditioning: unknown {chosen!r}; expected {' or '.join(known)}.")
        return chosen, ""
    if _SETTING not in settings:
        resolved = resolve_version(
            index,
            folder,
            _PATTERNS,
            default="zero123",
            subject="pose conditioning",
            option="--guidance-pose, in ComfyUI with the input pose_conditioning",
        )
        return resolved.version, resolved.assumption
    value, key = settings[_SETTING]
    for conditioning in known:
        if value == conditioning:
            return conditioning, ""
    raise ValueError(f"{key} is {shown(value)}; expected {' or '.join(known)}.")
