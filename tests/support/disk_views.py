"""Small view sets of a moving disk."""

from __future__ import annotations

import numpy as np
import torch

from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.view_set import ViewSet


def disk(size: int, center: tuple[float, float], radius: float) -> np.ndarray:
    """Return a soft-edged disk, float32 [size, size]; the center is in pixels."""
    ys, xs = np.mgrid[:size, :size] + 0.5
    return np.clip(radius + 0.5 - np.hypot(xs - center[0], ys - center[1]), 0, 1).astype(np.float32)


def disk_image(size: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a colored disk: colors [size, size, 3] and soft alphas [size, size]."""
    alpha = disk(size, (size / 2 + shift, size / 2), size / 4)
    ramp = np.linspace(0.1, 0.9, size, dtype=np.float32)
    colors = np.stack([np.tile(ramp, (size, 1)), np.tile(ramp[:, None], (1, size)), 1 - alpha], axis=-1)
    return colors, alpha


def disk_views(frames: int = 2, num_views: int = 6, size: int = 16, view_size: int = 12) -> ViewSet:
    """Return F frames of a moving disk and V views of each."""
    inputs = [disk_image(size, frame) for frame in range(frames)]
    posed = [
        disk_image(view_size, 0.5 * frame - 0.3 * view)
        for frame in range(frames)
        for view in range(num_views)
    ]
    posed = posed or [
        (np.zeros((view_size, view_size, 3), np.float32), np.zeros((view_size,) * 2, np.float32))
    ]
    lead = (frames, num_views)
    count = frames * num_views
    return ViewSet.from_orbit(
        images=torch.from_numpy(np.stack([colors for colors, _ in inputs])),
        alphas=torch.from_numpy(np.stack([alpha for _, alpha in inputs])),
        view_images=torch.from_numpy(np.stack([colors for colors, _ in posed])[:count]).unflatten(0, lead),
        view_alphas=torch.from_numpy(np.stack([alpha for _, alpha in posed])[:count]).unflatten(0, lead),
        input_pose=OrbitPose(azimuth_deg=10.5, elevation_deg=-7.25, radius=1.9, fovy_deg=33.3),
        view_poses=zero123plus_rig("v1.2")[:num_views],
        fps=12.5,
    )
