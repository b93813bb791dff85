"""Differentiable rendering of Gaussians: one function, four backends that agree.

``rasterize`` takes and returns what ``gsplat.rasterization`` does. Our own kernels and gsplat render on CUDA,
Numba on the CPU, and plain torch operations on any device; the last is the reference that tests compare the
others with.
``render``, ``render_frames`` and ``render_sequence`` render a scene with cameras; ``normals_from_depth``
gives the normals of a render.

A reader who knows gsplat finds its steps as ``projection``, ``tiling`` (with ``depth_sort``) and
``compositing`` in ``numba/`` and in ``torch/``; ``backend`` in each calls them in this order. In ``cuda/``
all but the sorting is in ``kernels.cu``.
"""

from .backends import BACKENDS, select_backend, warm_up
from .devices import with_index
from .inputs import RENDER_MODES
from .normals import encode_normals, normals_from_depth
from .rasterize import rasterize
from .render import render, render_frames, render_sequence

__all__ = [
    "BACKENDS",
    "RENDER_MODES",
    "encode_normals",
    "normals_from_depth",
    "rasterize",
    "render",
    "render_frames",
    "render_sequence",
    "select_backend",
    "warm_up",
    "with_index",
]
