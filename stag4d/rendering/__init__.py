"""Differentiable rendering of Gaussians: one function, three backends that agree.

``rasterize`` takes and returns what ``gsplat.rasterization`` does. gsplat draws on CUDA, Numba on the CPU,
and plain torch operations anywhere; the last is the reference that tests hold the others to. ``render`` and
``render_sequence`` draw a scene with cameras.
"""

from .rasterize import BACKENDS, RENDER_MODES, rasterize, select_backend
from .render import render, render_sequence

__all__ = ["BACKENDS", "RENDER_MODES", "rasterize", "render", "render_sequence", "select_backend"]
