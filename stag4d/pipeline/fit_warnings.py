"""Signs of a fit that went wrong, as sentences: a view that disagrees, lost Gaussians, empty alphas."""

from __future__ import annotations

from statistics import median

from ..optimization import FitHistory
from .fit_comparison import FitComparison, ViewComparison

MAX_GAP_DB = 6.0  # below the median of the views
MIN_SHARE_OF_GAUSSIANS = 0.25  # of the largest number
_MIN_VIEWS = 4  # from which on a view can be compared with the median of the others
_MIN_SHARE_OF_WEIGHT = 0.5  # of the largest weight; views with less are meant to disagree
_MAX_NAMES = 3


def fit_warnings(history: FitHistory, comparison: FitComparison) -> list[str]:
    """Return a sentence for each sign that a fit went wrong; none is the rule.

    Args:
        history: The number of Gaussians over the steps.
        comparison: The given views beside the renders.
    """
    return [*_empty_alphas(comparison), *_far_views(comparison), *_lost_gaussians(history)]


def far_views(comparison: FitComparison) -> list[ViewComparison]:
    """Return the views whose PSNR is far below the median of the views, the lowest first."""
    judged = _judged(comparison)
    if len(judged) < _MIN_VIEWS:
        return []
    return [view for view in judged if _median(judged) - view.psnr >= MAX_GAP_DB]


def _judged(comparison: FitComparison) -> list[ViewComparison]:
    """Return the views that the losses weigh, the lowest PSNR first."""
    smallest = _MIN_SHARE_OF_WEIGHT * max((view.weight for view in comparison.views), default=0.0)
    return [view for view in comparison.by_psnr if view.weight > 0 and view.weight >= smallest]


def _median(views: list[ViewComparison]) -> float:
    return median(view.psnr for view in views)


def _far_views(comparison: FitComparison) -> list[str]:
    """Return a sentence on the views that are far below the median, if there are any."""
    far = far_views(comparison)
    if not far:
        return []
    values = ", ".join(f"{view.psnr:.1f}" for view in far[:_MAX_NAMES])
    return [
        f"{_names(far)}: PSNR {values} dB, at least {MAX_GAP_DB:g} dB below the median of the views, "
        f"{_median(_judged(comparison)):.1f} dB; check cameras, order and alphas, or leave such views out or "
        "lower their weights (weight of STAG4D Add Views, trust_falloff for views from behind)."
    ]


def _empty_alphas(comparison: FitComparison) -> list[str]:
    """Return a sentence on the views whose alphas are empty at some frames, if there are any."""
    empty = [view for view in comparison.views if view.empty_frames]
    if not empty:
        return []
    counts = ", ".join(str(view.empty_frames) for view in empty[:_MAX_NAMES])
    return [
        f"{_names(empty)}: empty alphas at {counts} of {comparison.num_frames} frames, so the fit removes "
        "the object there; check the masks or the background removal."
    ]


def _lost_gaussians(history: FitHistory) -> list[str]:
    """Return a sentence if the number of Gaussians fell to a small share of its maximum."""
    counts = history.num_gaussians
    if not counts or counts[-1] >= max(counts) * MIN_SHARE_OF_GAUSSIANS:
        return []
    step = history.steps[counts.index(max(counts))]
    return [
        f"Gaussians: {counts[-1]} are left of {max(counts)} at step {step}; check the cameras and alphas of "
        "the views, or lower min_opacity or raise max_scale of the densification."
    ]


def _names(views: list[ViewComparison]) -> str:
    """Return the labels of views, the first few of many."""
    names = ", ".join(view.label for view in views[:_MAX_NAMES])
    more = len(views) - _MAX_NAMES
    return f"{names} and {more} more" if more > 0 else names
