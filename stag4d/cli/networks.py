"""Networks that commands are given by folder, loaded onto the fastest device at hand.

diffusers takes seconds to import, so only the loading does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..pipeline import DTYPES, model_folder
from .options import device

if TYPE_CHECKING:
    from ..diffusion import MultiViewModel, Zero123Model


def load_multiview(
    name: str, *, rig: Literal["v1.1", "v1.2"] | None = None, dtype: str | None = None
) -> MultiViewModel:
    """Return the multi-view model of a folder, or of ``bundled/NAME``.

    Args:
        name: See ``pipeline.model_folder``.
        rig: Where it puts its views, if not where its folder says.
        dtype: Name of the type of its weights; None is what the device is best at.
    """
    from ..diffusion import load_multiview_model

    folder = model_folder(name, "multiview")
    return load_multiview_model(folder, rig=rig, device=device(), dtype=DTYPES[dtype or usual_dtype()])


def load_prior(name: str) -> Zero123Model:
    """Return the posed prior of a folder, or of ``bundled/NAME``."""
    from ..diffusion import load_guidance_model

    folder = model_folder(name, "guidance")
    return load_guidance_model(folder, device=device(), dtype=DTYPES[usual_dtype()])


def usual_dtype() -> str:
    """Return the name of the type of weights that the fastest device is best at."""
    return "float16" if device().type == "cuda" else "float32"
