"""Loading of networks and image processors from a local folder in diffusers' layout.

Errors name the file that is missing or damaged. Nothing is downloaded: diffusers and transformers are only
called once the files are known to exist.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import huggingface_hub.errors
import torch
import transformers
from diffusers import ModelMixin
from safetensors import SafetensorError
from torch import nn
from transformers.utils import logging as transformers_logging

from ..geometry.pose_json import read_json_object
from .out_of_memory import is_out_of_memory

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")  # diffusers', transformers', its .bin
_VARIANTS = (None, "fp16")
_LIBRARY_ERRORS = (  # what diffusers and transformers raise on files that are damaged or of another kind
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    EOFError,
    SafetensorError,
    pickle.UnpicklingError,
    getattr(huggingface_hub.errors, "StrictDataclassError", ValueError),
)
_REASON_LENGTH = 300
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes per element


@contextmanager
def reading(place: Path, what: str) -> Iterator[None]:
    """Turn the errors of a library that reads a folder into a ValueError that names the folder.

    Out-of-memory errors are raised unchanged: the folder is not their cause.
    """
    try:
        yield
    except _LIBRARY_ERRORS as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split()).split(". ")[0][:_REASON_LENGTH].rstrip(".")  # no advice
        raise ValueError(f"{place}: {what} cannot be read ({reason}); fetch the folder again.") from error


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """Return a JSON object from a file.

    Args:
        path: The file.
        expected: What it should be, for the error when it is missing.

    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {expected}.")
    return read_json_object(path)


def load_module(kind: Any, folder: Path, name: str, dtype: torch.dtype) -> Any:
    """Load one network.

    Args:
        kind: Model class of diffusers or transformers.
        folder: The model's folder.
        name: The network's subfolder.
        dtype: Data type to convert the weights to.

    Returns:
        The network on the CPU, frozen, in evaluation mode.

    Raises:
        FileNotFoundError: if its configuration or weights are missing.
        ValueError: if they are damaged or do not belong together.
    """
    place = folder / name
    read_json(place / "config.json", f"the configuration of {name}")
    variant, is_safetensors = _find_weights(place)
    options: dict[str, Any] = {"variant": variant, "use_safetensors": is_safetensors, "torch_dtype": dtype}
    if issubclass(kind, ModelMixin) and find_spec("accelerate") is None:
        options["low_cpu_mem_usage"] = False  # the default needs accelerate and warns without it
    with reading(place, "its configuration and weights"), _without_progress_bars():
        module, info = kind.from_pretrained(place, local_files_only=True, output_loading_info=True, **options)
    missing = sorted(info["missing_keys"])
    if missing:
        raise ValueError(
            f"{place}: {len(missing)} weights are missing, the first is {missing[0]}; expected those that "
            "config.json describes."
        )
    if module.dtype != dtype:
        module = module.to(dtype)
    return module.eval().requires_grad_(False)


def load_image_processor(folder: Path, name: str) -> Any:
    """Load the image processor of a network, which resizes, crops and normalizes, without torchvision.

    Raises:
        FileNotFoundError: if its configuration is missing.
        ValueError: if it is damaged.
    """
    values = read_json(folder / name / "preprocessor_config.json", f"the image processor of {name}")
    # Since transformers 5, CLIPImageProcessor needs torchvision; its former implementation has another name.
    has_pil = hasattr(transformers, "CLIPImageProcessorPil")
    kind = transformers.CLIPImageProcessorPil if has_pil else transformers.CLIPImageProcessor
    own = {"processor_class", "feature_extractor_type", "image_processor_type"}
    with reading(folder / name, "the image processor"):
        return kind(**{key: value for key, value in values.items() if key not in own})


def weight_sums(*networks: nn.Module) -> list[int]:
    """Return a checksum of each weight: the sum of its elements' bits, read as integers.

    Sums of integers do not depend on the order, hence not on the device or the number of threads.
    """
    return [
        int(weight.detach().view(_INTEGERS[weight.element_size()]).sum(dtype=torch.int64))
        for network in networks
        for weight in network.parameters()
    ]


def _find_weights(place: Path) -> tuple[str | None, bool]:
    """Return the variant of a folder's weights and whether they are safetensors; raises FileNotFoundError."""
    for suffix in (".safetensors", ".bin"):
        for variant in _VARIANTS:
            infix = "" if variant is None else f".{variant}"
            for stem in _STEMS:
                whole, sharded = f"{stem}{infix}{suffix}", f"{stem}{suffix}.index{infix}.json"
                if (place / whole).is_file() or (place / sharded).is_file():
                    return variant, suffix == ".safetensors"
    raise FileNotFoundError(
        f"{place}: no weights; expected a file such as {_STEMS[0]}.safetensors or {_STEMS[1]}.safetensors, "
        "as published."
    )


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Disable transformers' progress bar per network; the user's setting is restored at the end."""
    was_enabled = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            transformers_logging.enable_progress_bar()
