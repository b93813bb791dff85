"""Comparisons of a fit with its views, constructed for tests of the warnings and the report page."""

from __future__ import annotations

from typing import Any

import torch

from stag4d.optimization import FitHistory
from stag4d.pipeline import Report
from stag4d.pipeline.fit_comparison import FitComparison, ViewComparison


def compared_view(index: int, psnr: float, **changes: Any) -> ViewComparison:
    """Return one of six views around the object, with strips of two frames of 8x6 pixels."""
    strips = torch.full((2, 6, 24, 3), 20 * index % 256, dtype=torch.uint8)
    values = {
        "name": f"view {index}",
        "azimuth_deg": 60.0 * index,
        "elevation_deg": -20.0,
        "is_reference": False,
        "weight": 1.0,
        "psnr": psnr,
        "empty_frames": 0,
        "strips": strips,
    }
    return ViewComparison(**(values | changes))


def compared_views(*psnrs: float, num_frames: int = 9, **changes: dict[int, Any]) -> FitComparison:
    """Return views with some PSNRs, dB; other values are changed by name and index of the view."""
    views = [
        compared_view(
            index, psnr, **{name: by_index[index] for name, by_index in changes.items() if index in by_index}
        )
        for index, psnr in enumerate(psnrs)
    ]
    return FitComparison(num_frames=num_frames, frames=(0, 4, 8), shown_frames=(0, 8), views=views)


def history_of(*num_gaussians: int) -> FitHistory:
    """Return records of every tenth step, with some numbers of Gaussians."""
    history = FitHistory()
    for index, count in enumerate(num_gaussians, start=1):
        history.record(10 * index, 0.5 * index, count, {"color": 1 / index, "total": 2 / index})
    return history


def report_of(comparison: FitComparison | None, **changes: Any) -> Report:
    """Return the report of a finished fit."""
    history = history_of(100, 120, 140)
    settings = {"preset": "fast", "steps": 30, "size": 24}
    values = {
        "settings": settings,
        "seconds": {"optimize": 1.5},
        "steps": 30,
        "num_gaussians": 140,
        "backend": "numba",
        "history": history,
        "comparison": comparison,
    }
    return Report(**(values | changes))
