"""Remove the background of views that a diffusion model generated in front of gray.

The outermost pixels of the object mix its color with the background's. Their object color is restored, or
renders on another background would show a gray fringe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from .background import border_color, matte_from_border
from .rembg_masks import DEFAULT_REMBG_MODEL, rembg_masks

BackgroundMethod = Literal["border", "rembg", "none"]

_LEVELS = 256  # histogram bins of Otsu's method
_MIN_SHARE = 0.1  # alpha below which dividing by it would amplify noise more than tenfold


class BackgroundRemover:
    """Removes the background of generated views.

    Args:
        method: ``border``: the color of the view's border is background; ``rembg``: that package, whose
            weights are downloaded on first use; ``none``: the background stays.
        rembg_model: Name of a rembg model, or an ONNX file of a U2-Net.

    Raises:
        RuntimeError: if rembg is not installed, or cannot load its model.
    """

    def __init__(self, method: BackgroundMethod = "border", rembg_model: str = DEFAULT_REMBG_MODEL) -> None:
        self.method, self.rembg_model = method, rembg_model
        if method == "rembg":
            self._remove = rembg_remover(rembg_model)
        else:
            self._remove = keep_background if method == "none" else remove_background

    def __call__(self, view: Tensor) -> tuple[Tensor, Tensor, bool]:
        """Return straight colors [S, S, 3], alpha [S, S] and whether the alpha is reliable."""
        return self._remove(view)


def remove_background(view: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Return the object of a generated view.

    Alpha is computed from the plain background (``alpha_from_border``). If the border is not plain, as in
    failed generations, the pixels that differ most from its median color are taken as the object (Otsu's
    threshold), so that one bad view does not stop a long run.

    Args:
        view: [S, S, 3], 0..1.

    Returns:
        Straight colors [S, S, 3]; alpha [S, S], all 0 if there is nothing but background; and whether the
        background was plain.
    """
    try:
        alpha, background = matte_from_border(view, is_generated=True)
        is_plain = True
    except ValueError:
        background = border_color(view)
        alpha, is_plain = _otsu_mask((view - background).abs().amax(dim=-1)), False
    return _object_colors(view, alpha, background), alpha, is_plain


def keep_background(view: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Return a view unchanged with alpha 1, for callers that remove the background later."""
    return view, torch.ones_like(view[..., 0]), True


def rembg_remover(model: str = DEFAULT_REMBG_MODEL) -> Callable[[Tensor], tuple[Tensor, Tensor, bool]]:
    """Return a background remover that uses rembg, which downloads the weights of its model on first use.

    Args:
        model: Name of a rembg model, or an ONNX file of a U2-Net.

    Raises:
        RuntimeError: if rembg is not installed, or cannot load its model.
    """
    mask = rembg_masks(model)

    def remove(view: Tensor) -> tuple[Tensor, Tensor, bool]:
        alpha = mask(view)  # [S, S]
        return _object_colors(view, alpha, border_color(view)), alpha, bool(alpha.max() > 0.5)

    return remove


def _object_colors(view: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
    """Return colors [S, S, 3] from which the background color, [3] or [S, S, 3], is removed.

    Solves ``view = alpha object + (1 - alpha) background`` for the object color where alpha is positive.
    """
    share = alpha[..., None]
    colors = background + (view - background) / share.clamp_min(_MIN_SHARE)
    return torch.where(share > 0, colors, view).clamp(0, 1)


def _otsu_mask(values: Tensor) -> Tensor:
    """Return 1 where values [S, S] exceed Otsu's threshold, else 0.

    The threshold maximizes the variance between the two groups, ``n0 n1 (mean0 - mean1)^2`` up to a constant
    factor (Otsu, "A threshold selection method from gray-level histograms", 1979, eq. 14).
    """
    scaled = (values / values.max().clamp_min(1e-6) * (_LEVELS - 1)).round()
    counts = torch.bincount(scaled.flatten().long(), minlength=_LEVELS).double()
    # For each threshold k, the number and mean of values up to k and above it, from cumulative sums.
    below = counts.cumsum(0)
    sums = (counts * torch.arange(_LEVELS)).cumsum(0)
    above = below[-1] - below
    means_below = sums / below.clamp_min(1)
    means_above = (sums[-1] - sums) / above.clamp_min(1)
    between = below * above * (means_below - means_above).square()
    return (scaled > between.argmax()).float()
