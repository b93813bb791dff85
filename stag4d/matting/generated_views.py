"""Cut the object out of views that a diffusion model drew in front of gray.

Colors in the object's outermost pixels are mixed with the background; they are unmixed, or renders on another
background would show a gray fringe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from .background import alpha_from_border, border_color

BackgroundMethod = Literal["border", "rembg", "none"]

_LEVELS = 256
_FAINT = 0.1  # alpha below which there is too little of the object's color to recover


class BackgroundRemover:
    """Removes the background of generated views.

    Args:
        method: ``border``: the color of the view's border is background; ``rembg``: that package, whose
            weights are downloaded on first use; ``none``: the background stays.

    Raises:
        RuntimeError: if rembg is not installed.
    """

    def __init__(self, method: BackgroundMethod = "border") -> None:
        self.method = method
        if method == "rembg":
            self._remove = rembg_remover()
        else:
            self._remove = keep_background if method == "none" else remove_background

    def __call__(self, view: Tensor) -> tuple[Tensor, Tensor, bool]:
        """Return straight colors [S, S, 3], alpha [S, S] and whether the alpha is reliable."""
        return self._remove(view)


def remove_background(view: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Return the object of a generated view.

    Where the border is not of one color, as a model's failures show, what differs most from its median is
    taken for the object (Otsu's threshold), so that a long run does not end at one bad view.

    Args:
        view: [S, S, 3], 0..1.

    Returns:
        Straight colors [S, S, 3]; alpha [S, S], all zeros of a view of nothing; and whether the background
        was plain.
    """
    background = border_color(view)
    try:
        alpha, is_plain = alpha_from_border(view), True
    except ValueError:
        alpha, is_plain = _otsu_mask((view - background).abs().amax(dim=-1)), False
    return _unmixed(view, alpha, background), alpha, is_plain


def keep_background(view: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Return a view as it is, opaque throughout: something else will cut it out."""
    return view, torch.ones_like(view[..., 0]), True


def rembg_remover(model: str = "u2net") -> Callable[[Tensor], tuple[Tensor, Tensor, bool]]:
    """Return a cutter that asks rembg for mattes; its weights are downloaded on first use, by rembg.

    Args:
        model: Which of rembg's.

    Raises:
        RuntimeError: if rembg is not installed.
    """
    try:
        import rembg
    except (ImportError, SystemExit) as error:  # it exits where onnxruntime is missing
        raise RuntimeError(
            "mattes: rembg is not installed; pip install 'rembg[cpu]', or take mattes from the plain border."
        ) from error
    session = rembg.new_session(model)

    def cut(view: Tensor) -> tuple[Tensor, Tensor, bool]:
        pixels = (view * 255).round().to(torch.uint8).numpy()
        mask = rembg.remove(pixels, session=session, only_mask=True)  # [S, S]
        alpha = torch.from_numpy(mask.copy()).float() / 255
        return _unmixed(view, alpha, border_color(view)), alpha, bool(alpha.max() > 0.5)

    return cut


def _unmixed(view: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
    """Return colors [S, S, 3] without their share of the background's [3]."""
    share = alpha[..., None]
    unmixed = background + (view - background) / share.clamp_min(_FAINT)
    return torch.where(share > 0, unmixed, view).clamp(0, 1)


def _otsu_mask(values: Tensor) -> Tensor:
    """Return 1 where values [S, S] lie above the threshold that separates two groups best (Otsu 1979)."""
    scaled = (values / values.max().clamp_min(1e-6) * (_LEVELS - 1)).round()
    counts = torch.bincount(scaled.flatten().long(), minlength=_LEVELS).double()
    below = counts.cumsum(0)
    sums = (counts * torch.arange(_LEVELS)).cumsum(0)
    above = below[-1] - below
    means_below = sums / below.clamp_min(1)
    means_above = (sums[-1] - sums) / above.clamp_min(1)
    between = below * above * (means_below - means_above).square()
    return (scaled > between.argmax()).float()
