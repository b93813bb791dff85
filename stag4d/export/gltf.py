"""GLB files with the glTF extension ``KHR_gaussian_splatting``: one frame, y up as in the world."""

from __future__ import annotations

import numpy as np
import torch

from ..scene import Gaussians
from .packages import importing
from .path_writers import written_bytes


def encode_glb(gaussians: Gaussians) -> bytes:
    """Encode Gaussians as a GLB file.

    The package fourdgs writes it, after the release candidate of the extension. glTF has the axes of our
    world: x right, y up, z towards the viewer. Numbers are float32; colors are clipped to 0..1.

    Args:
        gaussians: N Gaussians in world coordinates.

    Returns:
        The content of the file.

    Raises:
        RuntimeError: if the package fourdgs is not installed.
        ValueError: if there are no Gaussians or a number is not finite.
    """
    with importing("fourdgs", "glb"):
        from fourdgs import GaussianSet, to_gltf
    if not len(gaussians):
        raise ValueError("glb: there are no Gaussians; expected at least one.")
    columns = {
        "positions": gaussians.means,
        "scales": gaussians.scales,
        "rotations": torch.nn.functional.normalize(gaussians.quats, dim=-1).roll(-1, dims=-1),  # xyzw
        "colors": torch.cat([gaussians.colors.clamp(0, 1), gaussians.opacities[:, None]], dim=1),  # rgba
    }
    for name, values in columns.items():
        if not torch.isfinite(values).all():
            raise ValueError(f"glb: {name} are not all finite; every number must be.")
    ones = np.ones(len(gaussians))
    snapshot = GaussianSet(
        **{name: values.detach().cpu().float().numpy() for name, values in columns.items()},
        motions=np.zeros((len(gaussians), 3), np.float32),
        mu_t=0 * ones,
        sigma_t=np.inf * ones,
        win_lo=0 * ones,
        win_hi=ones,
    )
    return written_bytes(
        "scene.glb",
        lambda path: to_gltf(str(path), snapshot, 0.0, cutoff=0.0, coordinate_system="y-up-right-handed"),
    )
