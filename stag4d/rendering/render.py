"""Rendering of scenes: Gaussians at one time from C cameras, or a camera path over time."""

from __future__ import annotations

import torch
from torch import Tensor

from ..progress import Monitor, silent
from ..scene import GaussianModel4D, Gaussians
from ..types import Cameras, RenderOutput
from .rasterize import rasterize


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    background: Tensor | tuple[float, float, float] = (1.0, 1.0, 1.0),
    with_depth: bool = False,
    backend: str = "auto",
) -> RenderOutput:
    """Render Gaussians from C cameras.

    Args:
        gaussians: Raw parameters at one time, on the cameras' device.
        cameras: C cameras.
        background: RGB of all cameras, or [C, 3].
        with_depth: Whether to render expected depth (camera z) too.
        backend: See ``rasterize``.

    Returns:
        Images, alphas and depths of C cameras, differentiable with respect to the Gaussians.
    """
    device = gaussians.means.device
    backgrounds = torch.as_tensor(background, dtype=torch.float32, device=device).expand(len(cameras), 3)
    renders, alphas, meta = rasterize(
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        gaussians.colors,
        cameras.viewmats,
        cameras.Ks,
        cameras.width,
        cameras.height,
        backgrounds=backgrounds,
        render_mode="RGB+ED" if with_depth else "RGB",
        camera_model=cameras.projection,
        backend=backend,
    )
    return RenderOutput(renders[..., :3], alphas[..., 0], renders[..., 3] if with_depth else None, meta)


@torch.no_grad()
def render_sequence(
    model: GaussianModel4D,
    cameras: Cameras,
    frame_times: Tensor,
    *,
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
    with_depth: bool = False,
    backend: str = "auto",
    collect_on: torch.device | str | None = None,
    monitor: Monitor = silent,
) -> RenderOutput:
    """Render a camera path: camera i at time i, without gradients.

    Args:
        model: The scene.
        cameras: T cameras, or one for all times.
        frame_times: [T] times in [0, 1], or [1] for all cameras.
        background: RGB.
        with_depth: Whether to render expected depth (camera z) too.
        backend: See ``rasterize``.
        collect_on: Device of the result, for paths too long for the scene's device; None: the scene's.
        monitor: Progress after each frame.

    Returns:
        Images, alphas and depths of T frames; no meta.

    Raises:
        ValueError: The numbers of cameras and times differ and neither is one.
    """
    count = max(len(cameras), len(frame_times))
    if len(cameras) not in (1, count) or len(frame_times) not in (1, count):
        raise ValueError(
            f"camera path: {len(cameras)} cameras and {len(frame_times)} times; "
            "expected equal numbers, or one of either."
        )
    cameras, frame_times = cameras.to(model.device), frame_times.to(model.device)
    images, alphas, depths = [], [], []
    for index in range(count):
        time = frame_times[[index % len(frame_times)]]
        camera = cameras[[index % len(cameras)]]
        output = render(
            model.at(time)[0], camera, background=background, with_depth=with_depth, backend=backend
        )
        images.append(output.images.to(collect_on or model.device))
        alphas.append(output.alphas.to(collect_on or model.device))
        if output.depths is not None:
            depths.append(output.depths.to(collect_on or model.device))
        monitor("render", index + 1, count)
    return RenderOutput(torch.cat(images), torch.cat(alphas), torch.cat(depths) if depths else None)
