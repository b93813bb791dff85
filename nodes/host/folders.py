"""The models that loaders offer: those that ship with the package and the host's diffusers folders."""

from pathlib import Path

import comfy.model_management
import folder_paths
import torch
from comfy_api.latest import io

from ...stag4d.pipeline import DTYPES, ModelKind, bundled_models

AUTO = "auto"
INDEX = "model_index.json"


def folder_inputs(kind: ModelKind) -> list[io.Input]:
    """Return the widgets of a node that loads a model: its folder and the type of its weights."""
    return [
        io.Combo.Input(
            "model",
            options=list(model_folders(kind)),
            tooltip="bundled: ships with this pack. Others: a folder in models/diffusers that holds "
            "model_index.json; press R to see those that were added meanwhile.",
        ),
        io.Combo.Input(
            "dtype",
            options=[AUTO, *DTYPES],
            default=AUTO,
            tooltip="Of the networks. auto: float16 where the device is good at it, else float32. Half "
            "precision takes half the memory.",
        ),
    ]


def check_folder(name: str, kind: ModelKind, example: str) -> bool | str:
    """Return True if a name stands for a model folder, else what is wrong with it."""
    if name in model_folders(kind):
        return True
    expected = f"one with a {INDEX} in models/diffusers, such as {example}"
    return f"{kind} model: no folder {name!r}; expected {expected}."


def model_folders(kind: ModelKind) -> dict[str, Path]:
    """Return the pack's own models of a kind, and the host's folders in diffusers' layout, by their names.

    The host's are named by their place under models/diffusers and may be of any kind.
    """
    roots = [Path(root) for root in folder_paths.get_folder_paths("diffusers")]
    bundled = bundled_models(kind)
    found = {
        path.parent.relative_to(root).as_posix(): path.parent
        for root in reversed(roots)  # of two with one name the first root's counts, as the host has it
        for pattern in (f"*/{INDEX}", f"*/*/{INDEX}")
        for path in sorted(root.glob(pattern))
    }
    return bundled | found | bundled  # first in the list, and not to be hidden by a folder of the same name


def chosen_dtype(name: str) -> torch.dtype:
    """Return the type that a widget asks for."""
    if name != AUTO:
        return DTYPES[name]
    device = comfy.model_management.get_torch_device()
    return torch.float16 if comfy.model_management.should_use_fp16(device) else torch.float32
