"""Masks of arbitrary images by the package rembg, an optional dependency."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

DEFAULT_REMBG_MODEL = "u2net"


def require_rembg() -> None:
    """Raise RuntimeError, with the command that installs it, unless rembg is installed."""
    try:
        import rembg  # noqa: F401
    except (ImportError, SystemExit) as error:  # rembg exits the process if onnxruntime is missing
        raise RuntimeError(
            "rembg: the package rembg is not installed; pip install 'rembg[cpu]', or compute alpha from the "
            f"plain border. The environment is that of {sys.executable}."
        ) from error


def rembg_masks(model: str = DEFAULT_REMBG_MODEL) -> Callable[[Tensor], Tensor]:
    """Return a function from an image [H, W, 3], 0..1, to the alpha [H, W] of its foreground.

    Args:
        model: Name of a rembg model, which rembg downloads on first use, or an ONNX file of a U2-Net.

    Raises:
        FileNotFoundError: if there is no such ONNX file.
        RuntimeError: if rembg is not installed, or cannot load the model.
    """
    name, options = model, {}
    if model.endswith(".onnx"):
        if not Path(model).is_file():
            raise FileNotFoundError(f"{model}: no such file; expected an ONNX file of a U2-Net for rembg.")
        name, options = "u2net_custom", {"model_path": model}
    require_rembg()
    import rembg

    try:
        session = rembg.new_session(name, **options)
    except Exception as error:  # onnxruntime's errors and those of downloads share no narrower base
        raise RuntimeError(
            f"{model}: rembg cannot load this model ({error}); expected the name of a rembg model or an ONNX "
            "file of a U2-Net."
        ) from error

    def mask(image: Tensor) -> Tensor:
        pixels = (image * 255).round().to(torch.uint8).numpy()
        levels = rembg.remove(pixels, session=session, only_mask=True)  # [H, W] uint8
        return torch.from_numpy(levels.copy()).float() / 255

    return mask
