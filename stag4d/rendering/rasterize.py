"""``rasterize``: the public function, with the arguments and results of ``gsplat.rasterization``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..geometry import Projection
from .backends import backend_for
from .inputs import RasterInputs


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    backgrounds: Tensor | None = None,
    near_plane: float = 0.01,
    eps2d: float = 0.3,
    render_mode: str = "RGB",
    camera_model: Projection = "pinhole",
    cameras_per_set: Sequence[int] | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Rasterize Gaussians into C cameras, differentiably.

    Gradients flow to means, quats, scales, opacities, colors and backgrounds. Gaussians that are not finite,
    nearer than the near plane, outside the image or below an opacity of 1/255 are culled: they contribute to
    no pixel and their gradients are zero.

    Args:
        means: [N, 3] centers, world units, float32; float64 with the torch backend. N may be 0.
        quats: [N, 4] wxyz, of any norm but zero.
        scales: [N, 3] standard deviations along the Gaussian's own axes, world units.
        opacities: [N] in [0, 1].
        colors: [N, D] or [C, N, D], any D; spherical harmonics are evaluated before.
        viewmats: [C, 4, 4] world-to-camera, OpenCV axes; no gradient.
        Ks: [C, 3, 3] intrinsics, pixels (focals of orthographic cameras: pixels per world unit); pixel
            centers at +0.5; no gradient.
        width: Image width, pixels.
        height: Image height, pixels.
        backgrounds: [C, D] background colors, black if None; depth channels have no background.
        near_plane: Gaussians with smaller camera z are culled, world units.
        eps2d: Added to the diagonal of the projected 2D covariances, square pixels.
        render_mode: "RGB" colors, "D" accumulated depth, "ED" expected depth (accumulated depth divided by
            alpha), "RGB+D" and "RGB+ED" colors with the depth as last channel. Depth is camera z.
        camera_model: "pinhole", or "ortho" for orthographic cameras: u = fx x + cx and v = fy y + cy, where z
            still sorts and culls. One for all cameras.
        cameras_per_set: With T numbers, the Gaussians are T sets, such as those of T frames, and each is
            rendered by so many consecutive cameras: means [T, N, 3], quats [T, N, 4], scales [T, N, 3],
            opacities [T, N]. Only backend "cuda" renders several sets per call.
        backend: One of ``BACKENDS``; see :func:`select_backend`.

    Returns:
        renders [C, H, W, D'], alphas [C, H, W, 1] and meta: ``means2d`` [C, N, 2] in pixels (its gradient is
        retained), ``radii`` [C, N, 2] int32 in pixels (0 where culled), ``depths`` [C, N], ``width``,
        ``height``, ``n_cameras`` and ``gaussian_ids`` (None, as the arrays are not packed). The means2d and
        depths of culled Gaussians are unspecified.

    Raises:
        TypeError: One of the tensors is not a ``torch.Tensor``.
        ValueError: Shapes, dtypes, devices or options do not fit.
        RuntimeError: The requested backend is not available here.
    """
    inputs = RasterInputs(
        means=means,
        quats=quats,
        scales=scales,
        opacities=opacities,
        colors=colors,
        viewmats=viewmats,
        Ks=Ks,
        width=width,
        height=height,
        backgrounds=backgrounds,
        near_plane=near_plane,
        eps2d=eps2d,
        render_mode=render_mode,
        projection=camera_model,
        cameras_per_set=None if cameras_per_set is None else tuple(cameras_per_set),
    )
    renders, alphas, meta = backend_for(inputs, backend)(inputs)
    if meta["means2d"].requires_grad:
        meta["means2d"].retain_grad()
    return renders, alphas, meta
