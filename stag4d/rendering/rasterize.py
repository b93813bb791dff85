"""The public entry to rasterization: checks the arguments, picks a backend, calls it.

Backends are imported when they are first picked, so importing this package needs neither gsplat nor Numba.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

BACKENDS = ("auto", "gsplat", "numba", "torch")
_MODULES = {"gsplat": ".gsplat_backend", "numba": ".numba.backend", "torch": ".torch_backend"}
RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")

_logger = logging.getLogger(__name__)


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
    backend: str = "auto",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Render one set of Gaussians into C cameras, differentiably.

    Gradients flow to means, quats, scales, opacities, colors and backgrounds. Gaussians that are not finite,
    nearer than the near plane, outside the image or below an opacity of 1/255 are culled: they draw nothing
    and their gradients are zero.

    Args:
        means: [N, 3] centers, world units, float32; float64 with the torch backend. N may be 0.
        quats: [N, 4] wxyz, any length but zero.
        scales: [N, 3] standard deviations along the Gaussian's own axes, world units.
        opacities: [N] in 0..1.
        colors: [N, D] or [C, N, D], any D; spherical harmonics are evaluated before.
        viewmats: [C, 4, 4] world-to-camera, OpenCV axes.
        Ks: [C, 3, 3] intrinsics, pixels; pixel centers at +0.5.
        width: Image width, pixels.
        height: Image height, pixels.
        backgrounds: [C, D] color behind everything, black when left out; depth channels have none.
        near_plane: Least camera z that is drawn, world units.
        eps2d: Variance added to every splat along both image axes, square pixels.
        render_mode: "RGB" colors, "D" depth summed by weight, "ED" that over alpha, "RGB+D" and "RGB+ED"
            colors with the depth as last channel. Depth is camera z.
        backend: One of ``BACKENDS``; see :func:`select_backend`.

    Returns:
        renders [C, H, W, D'], alphas [C, H, W, 1] and meta: ``means2d`` [C, N, 2] in pixels (its gradient is
        kept after ``backward``), ``radii`` [C, N, 2] int32 (0 where culled), ``depths`` [C, N], ``width``,
        ``height``, ``n_cameras`` and ``gaussian_ids`` (None: every Gaussian has its row). What means2d and
        depths hold for a culled Gaussian is not specified.

    Raises:
        TypeError: An argument that must be a tensor is none.
        ValueError: Shapes, dtypes, devices or options do not fit.
        RuntimeError: The backend that was asked for cannot run here.
    """
    _check_options(width, height, near_plane, eps2d, render_mode)
    tensors = {"means": means, "quats": quats, "scales": scales, "opacities": opacities, "colors": colors,
               "viewmats": viewmats, "Ks": Ks}  # fmt: skip
    if backgrounds is not None:
        tensors["backgrounds"] = backgrounds
    _check_kinds(tensors)
    _check_shapes(tensors)
    draw = _load(_select_for(means, backend))
    renders, alphas, meta = draw(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height,
        backgrounds=backgrounds, near_plane=near_plane, eps2d=eps2d, render_mode=render_mode,
    )  # fmt: skip
    if meta["means2d"].requires_grad:
        meta["means2d"].retain_grad()
    return renders, alphas, meta


def select_backend(device: torch.device | str, backend: str = "auto") -> str:
    """Name the backend that renders on a device.

    "auto" is gsplat on CUDA when it imports and its kernels are built, Numba on the CPU when it is installed,
    and torch otherwise. That choice is logged once a process, with what to install for a faster one.

    Args:
        device: Where the Gaussians are.
        backend: "auto", or a backend to insist on.

    Returns:
        "gsplat", "numba" or "torch".

    Raises:
        ValueError: No such backend, or it does not render on this device.
        RuntimeError: The backend is not installed or not working.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend: unknown {backend!r}; expected one of {', '.join(BACKENDS)}.")
    device_type = torch.device(device).type
    if backend == "auto":
        return _choose(device_type)
    if backend == "torch":
        return backend
    wanted = "cuda" if backend == "gsplat" else "cpu"
    if device_type != wanted:
        raise ValueError(
            f"backend: {backend!r} cannot render on {device_type}; move the tensors to {wanted} or use auto."
        )
    reason = _missing(backend)
    if reason is not None:
        raise RuntimeError(f"backend: {backend!r} is not available: {reason}.")
    return backend


def _select_for(means: Tensor, backend: str) -> str:
    """Select a backend for these Gaussians: only torch renders float64."""
    if means.dtype == torch.float32:
        return select_backend(means.device, backend)
    selected = "torch" if backend == "auto" else select_backend(means.device, backend)
    if selected != "torch":
        raise ValueError(f"backend: {backend!r} renders no {means.dtype}; use torch.float32 or 'torch'.")
    return selected


@functools.cache
def _choose(device_type: str) -> str:
    """Choose the fastest backend that works on a type of device; cached, so that it is logged once."""
    fastest = {"cuda": "gsplat", "cpu": "numba"}.get(device_type)
    if fastest is None:
        _logger.warning("Rasterizing with torch on %s: slow, but no other backend can.", device_type)
        return "torch"
    reason = _missing(fastest)
    if reason is None:
        _logger.info("Rasterizing with %s on %s.", fastest, device_type)
        return fastest
    _logger.warning("Rasterizing with torch on %s, slower than %s: %s.", device_type, fastest, reason)
    return "torch"


@functools.cache
def _missing(backend: str) -> str | None:
    """Say what keeps gsplat or Numba from rendering, and what to do about it; None when nothing does."""
    if backend == "gsplat":
        from . import gsplat_backend

        return gsplat_backend.missing()
    try:
        _load("numba")
    except (ImportError, OSError, RuntimeError) as error:  # its compiled library may not load
        return f"Numba does not import ({error}); pip install numba"
    return None


@functools.cache
def _load(backend: str) -> Callable[..., tuple[Tensor, Tensor, dict[str, Any]]]:
    """Import a backend's module and return its function."""
    draw: Callable[..., tuple[Tensor, Tensor, dict[str, Any]]]
    draw = importlib.import_module(_MODULES[backend], __package__).rasterize
    return draw


def _check_options(width: int, height: int, near_plane: float, eps2d: float, render_mode: str) -> None:
    """Check everything that is not a tensor; raises ValueError."""
    for name, value in (("width", width), ("height", height)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: {value!r} pixels; expected a positive whole number.")
    if not near_plane > 0:
        raise ValueError(f"near_plane: {near_plane!r}; expected a positive distance.")
    if not eps2d >= 0:
        raise ValueError(f"eps2d: {eps2d!r}; expected a variance of at least 0 square pixels.")
    if render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode: unknown {render_mode!r}; expected one of {', '.join(RENDER_MODES)}.")


def _check_kinds(tensors: dict[str, Tensor]) -> None:
    """Check that all are tensors of the means' float type and device; raises TypeError or ValueError."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: is a {type(tensor).__name__}; expected a torch.Tensor.")
    means = tensors["means"]
    if means.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"means: have dtype {means.dtype}; expected torch.float32 or torch.float64.")
    for name, tensor in tensors.items():
        if tensor.dtype != means.dtype:
            raise ValueError(f"{name}: have dtype {tensor.dtype}; expected {means.dtype} as the means have.")
        if tensor.device != means.device:
            raise ValueError(f"{name}: are on {tensor.device}; expected {means.device} as the means are.")


def _check_shapes(tensors: dict[str, Tensor]) -> None:
    """Check all shapes against the means' N, the viewmats' C and the colors' D; raises ValueError."""
    means, viewmats, colors = tensors["means"], tensors["viewmats"], tensors["colors"]
    if means.ndim != 2 or means.shape[1] != 3:
        raise ValueError(f"means: have shape {list(means.shape)}; expected [N, 3].")
    if viewmats.ndim != 3 or viewmats.shape[0] < 1 or viewmats.shape[1:] != (4, 4):
        raise ValueError(f"viewmats: have shape {list(viewmats.shape)}; expected [C, 4, 4], C at least 1.")
    n, c = means.shape[0], viewmats.shape[0]
    if colors.ndim not in (2, 3) or colors.shape[:-1] not in ((n,), (c, n)) or colors.shape[-1] < 1:
        raise ValueError(f"colors: have shape {list(colors.shape)}; expected [{n}, D] or [{c}, {n}, D].")
    expected = {"quats": (n, 4), "scales": (n, 3), "opacities": (n,), "Ks": (c, 3, 3),
                "backgrounds": (c, colors.shape[-1])}  # fmt: skip
    for name, shape in expected.items():
        if name in tensors and tensors[name].shape != shape:
            raise ValueError(f"{name}: have shape {list(tensors[name].shape)}; expected {list(shape)}.")
