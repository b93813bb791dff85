"""Loading of networks and image processors from a local folder in diffusers' layout.

Errors name the file that is missing or damaged. Nothing is downloaded: diffusers and transformers are only
called once the files are known to exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin
from torch import nn
from transformers.utils import logging as transformers_logging

from ..progress import Check, never_cancel
from .json_files import read_json
from .network_config import build_on_meta, check_kind, network_config, run_once
from .out_of_memory import is_out_of_memory
from .weight_files import WeightFiles, check_complete, count_tensors, find_weights

_REASON_LENGTH = 300
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes per element


class reading:
    """Turns the errors of a library that reads a folder into a ValueError that names the folder.

    The libraries check little of what they read, so the error may be of any class. Out-of-memory errors are
    raised unchanged: the folder is not their cause. After an error, torch's default data type is restored,
    which transformers 4 does not do.

    Args:
        place: The folder.
        what: What the library reads there.
    """

    def __init__(self, place: Path, what: str) -> None:
        self.place, self.what = place, what

    def __enter__(self) -> None:
        """Start to read."""
        self.default_dtype = torch.get_default_dtype()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise the ValueError, if there was an error."""
        if error is None:
            return
        torch.set_default_dtype(self.default_dtype)  # which a failed load leaves changed
        is_panic = type(error).__name__ == "PanicException"  # of a library in Rust; it is no Exception
        if not (isinstance(error, Exception) or is_panic) or is_out_of_memory(error):
            return
        text = str(error) or type(error).__name__
        reason = " ".join(text.split()).split(". ")[0][:_REASON_LENGTH].rstrip(".")  # no advice
        raise ValueError(
            f"{self.place}: {self.what} cannot be read ({reason}); fetch the folder again."
        ) from error


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
    files, config, on_meta = _checked(kind, place)
    is_diffusers = issubclass(kind, ModelMixin)
    options: dict[str, Any] = {
        "variant": files.variant,
        "use_safetensors": files.is_safetensors,
        "torch_dtype": dtype,
    }
    with reading(place, "its configuration and weights"), _without_progress_bars():
        if not is_diffusers:
            options["config"] = config
        elif find_spec("accelerate") is None:
            options["low_cpu_mem_usage"] = False  # the default needs accelerate and warns without it
        module, info = kind.from_pretrained(place, local_files_only=True, output_loading_info=True, **options)
    missing = sorted(info["missing_keys"])
    if missing:
        raise ValueError(
            f"{place}: {len(missing)} weights are missing, the first is {missing[0]}; expected those that "
            "config.json describes."
        )
    if module.dtype != dtype:
        module = module.to(dtype)
    with reading(place, "its configuration"):
        run_once(on_meta, module)
    return module.eval().requires_grad_(False)


def check_module(kind: Any, folder: Path, name: str) -> Any:
    """Check one network's files without reading its weights; returns it with meta tensors.

    The arguments and errors are those of ``load_module``, which finds also weights that are missing.
    """
    return _checked(kind, folder / name)[2]


def _checked(kind: Any, place: Path) -> tuple[WeightFiles, Any, Any]:
    """Return the weight files of a network, its configuration, and the network with meta tensors."""
    values = read_json(place / "config.json", f"the configuration of {place.name}")
    check_kind(kind, values, place / "config.json")
    files = find_weights(place, "diffusers" if issubclass(kind, ModelMixin) else "transformers")
    check_complete(files)
    with reading(place, "its configuration and weights"):
        config = network_config(kind, values)
        return files, config, build_on_meta(kind, config, count_tensors(files), files.num_bytes)


def weight_sums(*networks: nn.Module, check: Check = never_cancel) -> list[int]:
    """Return a checksum of each weight: the sum of its elements' bits, read as integers.

    Sums of integers do not depend on the order, hence not on the device or the number of threads.

    Args:
        networks: Their weights are summed one by one.
        check: Called before each weight; raises an exception to cancel.
    """
    sums = []
    for weight in (weight for network in networks for weight in network.parameters()):
        check()
        sums.append(int(weight.detach().view(_INTEGERS[weight.element_size()]).sum(dtype=torch.int64)))
    return sums


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
