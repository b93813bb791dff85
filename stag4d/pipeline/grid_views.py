"""A view set from grid images that a multi-view model has generated outside of this package."""

from __future__ import annotations

import torch
from torch import Tensor

from ..diffusion import ViewGrid
from ..geometry import OrbitPose, world_offsets
from ..matting import BackgroundRemover
from ..progress import Monitor, silent
from ..types import InputVideo
from ..view_set import ViewSet, check_square


def views_of_grids(
    grid: ViewGrid,
    video: InputVideo,
    images: Tensor,
    alphas: Tensor | None = None,
    *,
    remover: BackgroundRemover | None = None,
    monitor: Monitor = silent,
) -> ViewSet:
    """Cut the views of every frame out of its grid image, and remove their background.

    Args:
        grid: Layout, scale and cameras of the views.
        video: F prepared frames.
        images: [F, H, W, 3] decoded grids, of the image scale of the VAE; any size.
        alphas: [F, H, W] of the grids; None: the background is removed.
        remover: Removes the background; None is that of method ``border``.
        monitor: Called after each frame.

    Returns:
        The input frames with their views.

    Raises:
        ValueError: if numbers of frames or sizes do not match.
    """
    check_square(video.images, "views: input frames")
    if len(images) != len(video):
        raise ValueError(f"grid: {len(images)} images for {len(video)} frames; expected one for each frame.")
    check_grid(grid, images)
    if alphas is not None and alphas.shape != images.shape[:3]:
        raise ValueError(
            f"grid: masks of shape {list(alphas.shape)}; expected {list(images.shape[:3])}, as the images."
        )
    remover = remover or BackgroundRemover()
    view_images, view_alphas = [], []
    for frame in range(len(images)):
        views = grid.views_of(grid.unscaled_image(images[frame]))  # [V, s, s, 3]
        if alphas is None:
            cut = [remover(view) for view in views]
            view_images.append(torch.stack([colors for colors, _, _ in cut]))
            view_alphas.append(torch.stack([alpha for _, alpha, _ in cut]))
        else:
            view_images.append(views)
            view_alphas.append(grid.views_of(alphas[frame][..., None])[..., 0])
        monitor("decode", frame + 1, len(images))
    first = grid.poses[0]
    pose = OrbitPose(
        azimuth_deg=0.0, elevation_deg=video.elevation_deg, radius=first.radius, fovy_deg=first.fovy_deg
    )
    offsets = None if video.crop_offsets is None else world_offsets(video.crop_offsets, pose)
    return ViewSet.from_orbit(
        video.images,
        video.alphas,
        torch.stack(view_images),
        torch.stack(view_alphas),
        pose,
        grid.poses,
        video.fps,
        offsets,
    )


def check_grid(grid: ViewGrid, images: Tensor) -> None:
    """Raise ValueError unless images [F, H, W, C] divide into a grid's square views."""
    height, width = images.shape[1:3]
    if height * grid.num_columns != width * grid.num_rows or height % grid.num_rows:
        raise ValueError(
            f"grid: images of {width}x{height} pixels; expected {grid.num_rows} rows of {grid.num_columns} "
            "square views."
        )
