"""Rendering of scenes: Gaussians at one time or several from C cameras, or a camera path over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..devices import to_device
from ..progress import Monitor, silent
from ..scene import DeformedGaussians, GaussianModel4D, Gaussians
from ..types import Cameras, RenderOutput
from .backends import select_backend
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
    if not isinstance(background, Tensor):
        background = torch.tensor(background)
    backgrounds = to_device(background.float(), gaussians.means.device).expand(len(cameras), 3)
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


def render_frames(
    gaussians: DeformedGaussians,
    cameras: Cameras,
    cameras_per_frame: Sequence[int],
    *,
    backgrounds: Tensor,
    backend: str = "auto",
) -> tuple[RenderOutput, list[Mapping[str, Any]]]:
    """Render Gaussians at T times, each from cameras of its own: with CUDA kernels in one call.

    Args:
        gaussians: Raw parameters at T times; with CUDA kernels in one call where all times have the same
            opacities and colors.
        cameras: C cameras, those of the first time first.
        cameras_per_frame: T numbers.
        backgrounds: [C, 3].
        backend: See ``rasterize``.

    Returns:
        Images and alphas of C cameras, and the meta of each call of the rasterizer.
    """
    is_shared = gaussians.logit_opacities.ndim == 1 and gaussians.sh0.ndim == 3  # by all times
    if len(gaussians) > 1 and is_shared and select_backend(gaussians.means.device, backend) == "cuda":
        renders, alphas, meta = rasterize(
            gaussians.means,
            gaussians.quats,
            gaussians.log_scales.exp(),
            gaussians[0].opacities.expand(len(gaussians), -1),
            gaussians[0].colors,
            cameras.viewmats,
            cameras.Ks,
            cameras.width,
            cameras.height,
            backgrounds=backgrounds,
            camera_model=cameras.projection,
            cameras_per_set=cameras_per_frame,
            backend=backend,
        )
        return RenderOutput(renders, alphas[..., 0]), [meta]
    outputs, first = [], 0
    for index, count in enumerate(cameras_per_frame):
        part = slice(first, first + count)
        if count > 0:
            outputs.append(
                render(gaussians[index], cameras[part], background=backgrounds[part], backend=backend)
            )
        first += count
    metas = [output.meta for output in outputs]
    if len(outputs) == 1:
        return outputs[0], metas
    images, alphas = (torch.cat([vars(output)[name] for output in outputs]) for name in ("images", "alphas"))
    return RenderOutput(images, alphas), metas


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
