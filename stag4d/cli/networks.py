"""Loading of the networks that commands are given, onto the fastest available device.

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
        rig: Cameras of its views; None takes the folder's.
        dtype: Name of the data type; None is the device's preferred one.
    """
    from ..diffusion import load_multiview_model

    folder = model_folder(name, "multiview")
    return load_multiview_model(folder, rig=rig, device=device(), dtype=DTYPES[dtype or default_dtype()])


def load_guidance(name: str) -> Zero123Model:
    """Return the guidance model of a folder, or of ``bundled/NAME``."""
    from ..diffusion import load_guidance_model

    folder = model_folder(name, "guidance")
    return load_guidance_model(folder, device=device(), dtype=DTYPES[default_dtype()])


def default_dtype() -> str:
    """Return the name of the preferred data type of the fastest available device."""
    return "float16" if device().type == "cuda" else "float32"
