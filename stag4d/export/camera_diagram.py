"""A diagram of cameras around an object: their frusta as lines over a render."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from PIL import ImageDraw
from torch import Tensor

from ..types import Cameras
from .images import to_pil_image

_DEPTH = 0.25  # length of a frustum, as a share of the camera's distance from the origin
_NEAREST = 1e-3  # camera z in the diagram below which a line is left out, world units
_COLORS = ((214, 39, 40), (31, 119, 180))  # of the reference and of other cameras


def draw_cameras(
    image: Tensor, view: Cameras, cameras: Sequence[Cameras], labels: Sequence[str], reference: int | None
) -> Tensor:
    """Draw cameras over a render of the object.

    Args:
        image: [H, W, 3] render in 0..1.
        view: Its camera.
        cameras: Single cameras to draw; an orthographic one as a box.
        labels: Text beside each camera.
        reference: Index of the camera that is shown in red.

    Returns:
        The diagram, [H, W, 3].
    """
    canvas = to_pil_image(image)
    draw = ImageDraw.Draw(canvas)
    for index, (camera, label) in enumerate(zip(cameras, labels, strict=True)):
        color = _COLORS[index != reference]
        near, far = frustum(camera)  # [4, 3] each
        lines = [*pairwise([*near, near[0]]), *pairwise([*far, far[0]]), *zip(near, far, strict=True)]
        for begin, end in lines:
            pixels, depths = view.project(torch.stack([begin, end]))
            if depths.min() > _NEAREST:
                draw.line([tuple(pixels[0].tolist()), tuple(pixels[1].tolist())], fill=color, width=2)
        corner, depth = view.project(near[:1])
        if depth[0] > _NEAREST:
            draw.text(tuple(corner[0].tolist()), label, fill=color)
    return torch.from_numpy(np.array(canvas)).float() / 255


def frustum(camera: Cameras) -> tuple[Tensor, Tensor]:
    """Return the corners of a camera's image at its center and farther ahead, world units, [4, 3] each."""
    viewmat, K = camera.viewmats[0].double(), camera.Ks[0].double()
    depth = _DEPTH * max(math.hypot(*viewmat[:3, 3].tolist()), 1e-3)
    corners = torch.tensor(
        [[0, 0, 1], [camera.width, 0, 1], [camera.width, camera.height, 1], [0, camera.height, 1]],
        dtype=torch.float64,
    )
    rays = torch.linalg.solve(K, corners.T).T  # [4, 3], z = 1
    if camera.projection == "ortho":
        near, far = rays * torch.tensor([1.0, 1.0, 0.0]), rays * torch.tensor([1.0, 1.0, depth])
    else:
        near, far = torch.zeros_like(rays), rays * depth
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    return ((near - translation) @ rotation).float(), ((far - translation) @ rotation).float()
