"""``.4dgs`` files: a moving scene in an open container for 4D Gaussians, in world coordinates, y up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..atomic import write_whole
from ..progress import Monitor, silent
from ..scene import GaussianModel4D, Gaussians
from .packages import importing

# The opacity of a Gaussian of this format fades with a Gaussian in time. Its standard deviation, in durations
# of the scene, is finite but so large that opacities stay constant.
_TIME_SIGMA = 1e4


@torch.no_grad()
def encode_4dgs(model: GaussianModel4D, monitor: Monitor = silent) -> bytes:
    """Encode a scene with the temporal model ``keyframe-delta`` of the format, one keyframe a frame.

    Gaussians keep their identity from frame to frame. The velocity of a Gaussian leads from its center to its
    center in the next frame, so players interpolate centers linearly; rotations and standard deviations
    change at each frame. The last frame does not move. Largest errors of the quantization: centers 1/20 of
    the scene's median standard deviation, standard deviations 2 %, opacities and colors 1/255. Colors are
    clipped to 0..1.

    Args:
        model: The scene, on any device.
        monitor: Called after each frame.

    Returns:
        The content of the file.

    Raises:
        RuntimeError: if the package fourdgs is not installed.
        ValueError: if a number of the scene is not finite.
    """
    with importing("fourdgs", "4dgs"):
        from fourdgs.keyframe_delta_file import write_sequence
        from fourdgs.keyframe_delta_writer import Sample
    count, fps = model.info.num_frames, model.info.fps
    is_related = model.frames is None or model.frames.counts is None
    samples = []
    first_id = 0  # unrelated frames have other Gaussians, which do not move
    deformed = model.at(model.frame_times[[0]])[0]
    for frame in range(count):
        following = model.at(model.frame_times[[min(frame + 1, count - 1)]])[0]
        velocities = torch.zeros_like(deformed.means)
        if is_related:
            velocities = (following.means - deformed.means) * fps  # [N, 3] world units per second
        ids = first_id + np.arange(len(deformed))
        first_id += 0 if is_related else len(deformed)
        # One field evaluation a frame: the next frame is kept for the next iteration.
        samples.append(
            Sample(frame / fps, ids, _gaussian_set(deformed, velocities, frame / fps, count / fps))
        )
        deformed = following
        monitor("export", frame + 1, model.info.num_frames)
    return write_sequence(samples, count / fps, library="stag4d")


def write_4dgs(path: str | Path, model: GaussianModel4D, monitor: Monitor = silent) -> None:
    """Write a scene as a ``.4dgs`` file, see ``encode_4dgs``; its folder is made when it does not exist.

    Raises:
        RuntimeError: if the package fourdgs is not installed or the file cannot be written.
        ValueError: if a number of the scene is not finite.
    """
    write_whole(path, encode_4dgs(model, monitor))


def _gaussian_set(gaussians: Gaussians, velocities: Tensor, seconds: float, duration: float) -> Any:
    """Return the Gaussians of a frame as a ``fourdgs.GaussianSet``.

    Args:
        gaussians: N Gaussians at the frame.
        velocities: [N, 3] world units per second.
        seconds: Time of the frame.
        duration: Duration of the scene, seconds.

    Raises:
        ValueError: if a number is not finite.
    """
    from fourdgs import Bounds, GaussianSet, Steps

    ones = np.ones(len(gaussians))
    # The library rounds the time at which a Gaussian has its position to a grid, so the position is moved
    # along the velocity to the rounded time.
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
        sigma_t=_TIME_SIGMA * duration * ones,
        win_lo=0 * ones,
        win_hi=duration * ones,
    )
