"""Exact renders of a toy: images, alphas and depths from analytic ray hits, antialiased by supersampling."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import torch
from torch import Tensor

from ..kernels.responsive import run_responsively
from ..kernels.threads import check_num_threads
from ..progress import Check, never_cancel
from ..types import Cameras
from .materials import Materials
from .objects import ToyObject
from .shapes import Solids

# Rays between two checks: in torch half a second, and 16 MB for each temporary array with about 30 solids.
_GROUP_RAYS = 1 << 17

_logger = logging.getLogger(__name__)

RowTracer = Callable[[int, int], tuple[Tensor, Tensor, Tensor]]
"""Renders the rows of an image from the first up to but excluding the last; returns as ``raycast`` does."""


def raycast(
    toy: ToyObject,
    frame_time: float,
    cameras: Cameras,
    supersample: int = 2,
    check: Check = never_cancel,
) -> tuple[Tensor, Tensor, Tensor]:
    """Render a toy at one time from C cameras, by Numba or, where it does not load, by torch.

    The two differ where a ray meets an edge of a solid or of its pattern within rounding.

    Args:
        toy: The toy.
        frame_time: Time in [0, 1].
        cameras: C cameras outside the toy, on the CPU.
        supersample: Rays along each side of a pixel.
        check: Called every fraction of a second; raises an exception to cancel.

    Returns:
        Straight colors [C, H, W, 3] (white where nothing is hit), alphas [C, H, W], the covered fraction of
        each pixel, and depths [C, H, W], the mean camera z of a pixel's hits, 0 where there is none.

    Raises:
        ValueError: if the time is outside [0, 1], supersample is below 1 or there is no camera.
    """
    if supersample < 1:
        raise ValueError(f"ray casting: supersample is {supersample}; expected at least 1.")
    if len(cameras) == 0:
        raise ValueError("ray casting: no cameras; expected at least one.")
    solids = toy.pose(frame_time)
    make_tracer = _tracer(check)
    shape = (len(cameras), cameras.height, cameras.width)
    colors, alphas, depths = torch.empty(*shape, 3), torch.empty(shape), torch.empty(shape)
    rows = max(1, _GROUP_RAYS // (cameras.width * supersample**2))
    for camera in range(len(cameras)):
        trace_rows = make_tracer(solids, toy.materials, cameras[[camera]], supersample)
        for first in range(0, cameras.height, rows):
            check()
            group = slice(first, min(first + rows, cameras.height))
            traced = trace_rows(group.start, group.stop)
            for target, values in zip((colors, alphas, depths), traced, strict=True):
                target[camera, group] = values
    return colors, alphas, depths


def _tracer(check: Check) -> Callable[[Solids, Materials, Cameras, int], RowTracer]:
    """Return the class that renders rows; the first call imports Numba and may compile."""
    is_loaded = _load_tracer.cache_info().currsize > 0
    return _load_tracer() if is_loaded else run_responsively(_load_tracer, check)


@functools.cache
def _load_tracer() -> Callable[[Solids, Materials, Cameras, int], RowTracer]:
    """Import Numba's row tracer and compile it, or import that of torch."""
    check_num_threads()
    try:
        from . import numba_raycast
    except (ImportError, OSError, RuntimeError) as error:  # its compiled library may not load
        _logger.warning(
            "Ray casting with torch, slower than Numba, which does not import (%s); pip install numba.", error
        )
        from .torch_raycast import RowTracer as TorchRowTracer

        return TorchRowTracer
    numba_raycast.warm_up()
    return numba_raycast.RowTracer
