"""The frames of an ``.s4d`` file as Gaussians, so that it becomes a scene again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from ...geometry import OrbitPose
from ...scene import SH_C0, GaussianFrames, Gaussians, check_values, logit, pad_frames, stack_frames
from ..validity import SMALLEST_ALPHA, check_expansion
from .reader import S4DFile, read_s4d

_FRAME_BYTES = 4 * 14  # of a Gaussian in a frame


class S4DScene(NamedTuple):
    """The frames of a file, and its metadata."""

    frames: GaussianFrames
    fps: float
    input_pose: OrbitPose


def read_s4d_scene(path: str | Path) -> S4DScene:
    """Read the frames of a file; of unrelated frames without the padding.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: see ``read_s4d``; also if a number is too large, or the frames take too much memory for
            such a file.
    """
    file = read_s4d(path)
    try:
        check_expansion(Path(path).stat().st_size, file.num_frames * file.num_gaussians * _FRAME_BYTES)
        frames = [_gaussians_at(file, frame) for frame in range(file.num_frames)]
        related = stack_frames(frames) if file.is_related else pad_frames(frames)
    except ValueError as error:
        raise ValueError(f"{path}: s4d: {error}; expected the file of a scene.") from error
    return S4DScene(related, file.fps, file.input_pose)


def _gaussians_at(file: S4DFile, frame: int) -> Gaussians:
    """Return the Gaussians of a frame."""
    found = file.at(frame)
    gaussians = Gaussians(
        means=found.means,
        log_scales=torch.from_numpy(file.attributes["log_scales"].at(frame).T).float().contiguous(),
        quats=found.quats,
        logit_opacities=logit(found.opacities.double().clamp(SMALLEST_ALPHA, 1 - SMALLEST_ALPHA)).float(),
        sh0=((found.colors - 0.5) / SH_C0)[:, None],
    )
    check_values(gaussians.as_dict(), f"frame {frame}")
    return (
        gaussians
        if file.is_related  # else without the padding
        else gaussians.map(lambda values: values[found.opacities > SMALLEST_ALPHA])
    )
