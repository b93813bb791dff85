"""Image processors of model folders: they resize, crop and normalize the images that networks are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import transformers

from .folders import reading
from .json_files import read_json, shown

MAX_SIDE = 2048  # pixels; published models take 224 to 512
_FIELDS = {
    "crop_size",
    "do_center_crop",
    "do_convert_rgb",
    "do_normalize",
    "do_rescale",
    "do_resize",
    "image_mean",
    "image_std",
    "resample",
    "rescale_factor",
    "size",
}


def load_image_processor(folder: Path, name: str, *, side: int | None = None, multiple: int = 1) -> Any:
    """Load the image processor of a network, without torchvision.

    Args:
        folder: The model's folder.
        name: The processor's subfolder.
        side: Pixels along each side of the images that the network takes; None: any.
        multiple: Number of which the pixels along each side must be a multiple.

    Raises:
        FileNotFoundError: if its configuration is missing.
        ValueError: if it is damaged, or its images are not of that size.
    """
    path = folder / name / "preprocessor_config.json"
    values = read_json(path, f"the image processor of {name}")
    for key in ("size", "crop_size"):
        setting = values.get(key)
        numbers = setting.values() if isinstance(setting, dict) else [setting]
        if not all(number is None or _is_side(number) for number in numbers):
            raise ValueError(f"{path}: {key} is {shown(setting)}; expected at most {MAX_SIDE} pixels.")
    with reading(folder / name, "the image processor"):
        processor = _processor_kind()(**{key: value for key, value in values.items() if key in _FIELDS})
        pixels = _processed_gray(processor)  # [1, 3, S, S]
        is_finite = bool(pixels.isfinite().all())
    height, width = pixels.shape[-2:]
    is_square = pixels.shape == (1, 3, height, height) and height > 0
    if not is_square or not is_finite or height % multiple or height != (side or height):
        expected = f"{side}" if side else f"a multiple of {multiple}"
        found = f"{height} x {width} pixels" + ("" if is_finite else " that are not finite")
        raise ValueError(
            f"{path}: makes images of {found}; expected three channels of {expected} pixels along each side."
        )
    return processor


def processed_size(processor: Any) -> int:
    """Return the pixels along each side of a processor's images, which are square."""
    return int(_processed_gray(processor).shape[-1])


def _processed_gray(processor: Any) -> Any:
    """Return a gray image as an image processor prepares it, [1, 3, H, W]."""
    gray = np.full((8, 8, 3), 127, dtype=np.uint8)
    return processor(images=[gray], return_tensors="pt").pixel_values


def default_processor(side: int, *, mean: float, std: float) -> Any:
    """Return an image processor as published models have it: bicubic, cropped to a square, normalized.

    Args:
        side: Pixels along each side of its images.
        mean: Subtracted from values in 0..1.
        std: Divides the difference.
    """
    return _processor_kind()(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        resample=3,  # bicubic
        image_mean=[mean] * 3,
        image_std=[std] * 3,
    )


def _processor_kind() -> Any:
    """Return the class of CLIP's image processor that needs no torchvision; it changed in transformers 5."""
    has_pil = hasattr(transformers, "CLIPImageProcessorPil")
    return transformers.CLIPImageProcessorPil if has_pil else transformers.CLIPImageProcessor


def _is_side(value: object) -> bool:
    """Return whether a JSON value is a number of pixels within the limit."""
    return type(value) is int and 1 <= value <= MAX_SIDE
