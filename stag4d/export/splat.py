"""``.splat`` files: 32 bytes per Gaussian, in the coordinate frame of PLY.

The format is that of the viewer antimatter15/splat: center and standard deviations as six float32, then red,
green, blue, opacity and the quaternion wxyz as eight bytes. It has no header.
"""

from __future__ import annotations

import numpy as np
import torch

from ..geometry.splat_frame import flip_splat_frame
from ..scene import Gaussians

_ROW = np.dtype([("center", "<f4", 3), ("scales", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])


def encode_splat(gaussians: Gaussians) -> bytes:
    """Encode Gaussians as ``.splat``; colors are clipped to 0..1.

    Largest errors: colors and opacities 0.002, each component of a rotation 0.004, or 0.008 near 1.

    Args:
        gaussians: N Gaussians in world coordinates, y up.

    Returns:
        The content of the file, 32 N bytes, in the order of the Gaussians.
    """
    means, quats = flip_splat_frame(gaussians.means, torch.nn.functional.normalize(gaussians.quats, dim=-1))
    rgba = torch.cat([gaussians.colors.clamp(0, 1), gaussians.opacities[:, None]], dim=1)
    columns = {
        "center": means,
        "scales": gaussians.scales,
        "rgba": (rgba * 255).round(),
        "quat": (quats * 128 + 128).round().clamp(0, 255),
    }
    rows = np.empty(len(gaussians), _ROW)
    for name, values in columns.items():
        rows[name] = values.detach().cpu().numpy()
    return rows.tobytes()
