"""Loads the models that the options name, onto the fastest available device.

diffusers takes seconds to import, so it is imported within the functions that need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ..lpips import PerceptualDistance, load_perceptual_distance
from ..pipeline import DTYPES, ModelKind, check_model, model_folder
from .options import device

if TYPE_CHECKING:
    from ..diffusion import MultiViewModel, PoseConditioning, Zero123Model


def check_named_model(name: str | None, kind: ModelKind) -> None:
    """Raise the errors of ``model_folder`` and ``check_model`` for a model that an option names.

    Args:
        name: See ``pipeline.model_folder``; None if the option is not given, which is no error.
        kind: The kind of model.
    """
    if name is not None:
        check_model(model_folder(name, kind), kind)


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


def load_guidance(name: str, *, pose_conditioning: PoseConditioning | None = None) -> Zero123Model:
    """Return the guidance model of a folder, or of ``bundled/NAME``.

    Args:
        name: See ``pipeline.model_folder``.
        pose_conditioning: Meaning of its pose numbers; None takes the folder's.
    """
    from ..diffusion import load_guidance_model

    folder, dtype = model_folder(name, "guidance"), DTYPES[default_dtype()]
    return load_guidance_model(folder, pose_conditioning=pose_conditioning, device=device(), dtype=dtype)


def load_perceptual(files: Sequence[str]) -> PerceptualDistance | None:
    """Return the LPIPS network of files, on the CPU; None without files. See ``load_perceptual_distance``."""
    return load_perceptual_distance(files) if files else None


def default_dtype() -> str:
    """Return the name of the preferred data type of the fastest available device."""
    return "float16" if device().type == "cuda" else "float32"
