"""Loads the models that the options name, onto the fastest available device; asks for what they do not say.

diffusers takes seconds to import, so it is imported within the functions that need it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch

from ..geometry import ZERO123PLUS_RIGS, RigName
from ..lpips import PerceptualDistance, load_perceptual_distance
from ..pipeline import DTYPES, ModelKind, check_model, model_folder
from .console import ask, is_interactive
from .options import device

if TYPE_CHECKING:
    from ..diffusion import MultiViewModel, PoseConditioning, Zero123Model

# Names of GPUs with the chips TU116 and TU117, whose float16 gives NaN; ComfyUI has the same list.
_NAN_IN_FLOAT16 = re.compile(r"\b(1630|1650|1660|T500|T550|T600|T1000|T1200|T2000|MX450|MX550|CMP 30HX)\b")
_FAST_FLOAT16 = 7  # major compute capability from which float16 is faster than float32


def check_named_model(name: str | None, kind: ModelKind) -> None:
    """Raise the errors of ``model_folder`` and ``check_model`` for a model that an option names.

    Args:
        name: See ``pipeline.model_folder``; None if the option is not given, which is no error.
        kind: The kind of model.
    """
    if name is not None:
        check_model(model_folder(name, kind), kind)


def chosen_rig(name: str, rig: RigName | None) -> RigName | None:
    """Return the rig that the user chooses for a multi-view model; None takes what its folder says.

    Args:
        name: See ``pipeline.model_folder``.
        rig: Value of the option. Without one, and if neither the model's files nor its path say the rig, the
            user is asked at the terminal; without a terminal it is assumed, see ``load_multiview_model``.

    Raises:
        FileNotFoundError: if the folder has no index.
        ValueError: if the index is damaged, the rig is unclear, or the user chooses none.
    """
    from ..diffusion import read_grid

    folder = model_folder(name, "multiview")
    grid = read_grid(folder, rig)
    if grid.rig_source != "default" or not is_interactive():
        return rig
    rigs = ", ".join(
        f"{known} (elevations {high:+g} and {low:+g} degrees)"
        for known, ((high, low), *_) in ZERO123PLUS_RIGS.items()
    )
    answer = ask(f"{folder}: neither its files nor its path say the rig. Which is it? {rigs}:")
    for known in ZERO123PLUS_RIGS:
        if answer in (known, known.removeprefix("v")):
            return known
    raise ValueError(f"{folder}: no rig was chosen; choose with --rig {' or '.join(ZERO123PLUS_RIGS)}.")


def frame_size(name: str, requested: int) -> int:
    """Return the size to prepare frames at for a multi-view model: at least that of its networks' images.

    Args:
        name: See ``pipeline.model_folder``.
        requested: Smallest size, pixels.
    """
    from ..diffusion import read_image_size

    return max(read_image_size(model_folder(name, "multiview")), requested)


def check_guidance(name: str | None, pose_conditioning: PoseConditioning | None) -> None:
    """Raise the errors of ``load_guidance`` that can be found without reading weights; None is no error."""
    if name is None:
        return
    from ..diffusion import check_guidance_model

    check_guidance_model(model_folder(name, "guidance"), pose_conditioning=pose_conditioning)


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


def load_guidance(
    name: str, *, pose_conditioning: PoseConditioning | None = None, dtype: str | None = None
) -> Zero123Model:
    """Return the guidance model of a folder, or of ``bundled/NAME``.

    Args:
        name: See ``pipeline.model_folder``.
        pose_conditioning: Meaning of its pose numbers; None takes the folder's.
        dtype: Name of the data type; None is the device's preferred one.
    """
    from ..diffusion import load_guidance_model

    folder, weights_dtype = model_folder(name, "guidance"), DTYPES[dtype or default_dtype()]
    return load_guidance_model(
        folder, pose_conditioning=pose_conditioning, device=device(), dtype=weights_dtype
    )


def load_perceptual(files: Sequence[str]) -> PerceptualDistance | None:
    """Return the LPIPS network of files, on the CPU; None without files. See ``load_perceptual_distance``."""
    return load_perceptual_distance(files) if files else None


def default_dtype() -> str:
    """Return the name of the preferred data type of the fastest available device.

    It is float16 on GPUs that are fast at it, except those that are known to give NaN.
    """
    if device().type != "cuda":
        return "float32"
    gpu = torch.cuda.get_device_properties(device())
    is_unsuitable = gpu.major < _FAST_FLOAT16 or _NAN_IN_FLOAT16.search(gpu.name) is not None
    return "float32" if is_unsuitable else "float16"
