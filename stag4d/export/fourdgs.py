"""A scene as one ``.4dgs`` file, an open container for moving splats, in our world, y up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..atomic import write_whole
from ..progress import Monitor, silent
from ..scene import GaussianModel4D, Gaussians

_UNFADING = 1e4  # standard deviation in time, durations of the clip: nothing fades, and it is finite


@torch.no_grad()
def encode_4dgs(model: GaussianModel4D, monitor: Monitor = silent) -> bytes:
    """Return a scene as a file of the temporal model ``keyframe-delta``, one sample a frame.

    A Gaussian keeps its identity from frame to frame, and its velocity leads to its next center: players
    move it evenly in between, while rotation and size change at each frame. The last frame stands still for
    its share of the clip. The file keeps centers within a twentieth of the scene's median standard deviation,
    standard deviations within 2 %, opacities and colors within 1/255; colors outside 0..1 are clipped.

    Args:
        model: The scene.
        monitor: Called after each frame.

    Raises:
        RuntimeError: if the package fourdgs is not installed.
        ValueError: if a number of the scene is not finite.
    """
    try:
        from fourdgs.keyframe_delta_file import write_sequence
        from fourdgs.keyframe_delta_writer import Sample
    except ImportError as error:
        raise RuntimeError(
            '4dgs: the package fourdgs is not installed; pip install "fourdgs>=0.6,<0.7".'
        ) from error
    count, fps = model.info.num_frames, model.info.fps
    ids = np.arange(len(model.gaussians))
    samples = []
    posed = model.at(model.frame_times[[0]])[0]
    for frame in range(count):
        following = model.at(model.frame_times[[min(frame + 1, count - 1)]])[0]
        velocities = (following.means - posed.means) * fps  # [N, 3] world units a second
        samples.append(Sample(frame / fps, ids, _gaussian_set(posed, velocities, frame / fps, count / fps)))
        posed = following
        monitor("export", frame + 1, model.info.num_frames)
    return write_sequence(samples, count / fps, library="stag4d")


def write_4dgs(
    path: str | Path, model: GaussianModel4D, monitor: Monitor = silent
) -> None:
    """Write what ``encode_4dgs`` makes; the folder is made when it does not exist.

    Raises:
        RuntimeError: if the package fourdgs is not installed or the file cannot be written.
        ValueError: if a number of the scene is not finite.
    """
    write_whole(path, encode_4dgs(model, monitor))


def _gaussian_set(gaussians: Gaussians, velocities: Tensor, seconds: float, duration: float) -> Any:
    """Return Gaussians that start at a time, in seconds, as the library takes them.

    It rounds the time of which a position is; so the position is that of the rounded time.
    """
    from fourdgs import Bounds, GaussianSet, Steps

    ones = np.ones(len(gaussians))
    grid = Steps.of(Bounds.for_profile()).time  # seconds
    rounded = float(np.rint(seconds / grid) * grid)
    activated = {
        "positions": gaussians.means + velocities * (rounded - seconds),
        "scales": gaussians.scales,
        "rotations": torch.nn.functional.normalize(gaussians.quats, dim=-1).roll(-1, dims=-1),  # xyzw
        "colors": torch.cat([gaussians.colors.clamp(0, 1), gaussians.opacities[:, None]], dim=1),  # rgba
        "motions": velocities,
    }
    for name, values in activated.items():
        if not torch.isfinite(values).all():
            raise ValueError(f"4dgs: {name} at {seconds:g} s are not all finite; every number must be.")
    return GaussianSet(
        **{name: values.cpu().float().numpy() for name, values in activated.items()},
        mu_t=rounded * ones,
        sigma_t=_UNFADING * duration * ones,
        win_lo=0 * ones,
        win_hi=duration * ones,
    )
