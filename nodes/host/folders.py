"""Models that the loader nodes list: the bundled ones, and the folders in ComfyUI's ``models/diffusers``."""

from pathlib import Path

import comfy.model_management
import folder_paths
import torch
from comfy_api.latest import io

from ...stag4d.hub_cache import cached_models
from ...stag4d.pipeline import DTYPES, ModelKind, bundled_models, check_model, how_to_get

AUTO = "auto"
INDEX = "model_index.json"


def folder_inputs(kind: ModelKind) -> list[io.Input]:
    """Return the widgets of a node that loads a model: its folder and the data type of its weights."""
    return [
        io.Combo.Input(
            "model",
            options=list(model_folders(kind)),
            tooltip="bundled/...: comes with this pack. Others: folders in models/diffusers that hold a "
            "model_index.json; press R to refresh the list.",
        ),
        io.Combo.Input(
            "dtype",
            options=[AUTO, *DTYPES],
            default=AUTO,
            advanced=True,
            tooltip="Data type of the weights. auto: float16 on devices that are fast at it, else float32. "
            "float16 and bfloat16 take half the memory.",
        ),
    ]


def check_folder(name: str, kind: ModelKind) -> None:
    """Raise an error unless a name is that of a folder with a whole model of a kind.

    Raises:
        FileNotFoundError: if there is no such folder, or weights are missing in it.
        ValueError: if it holds another kind of model.
    """
    folder = model_folders(kind).get(name)
    if folder is None:
        raise FileNotFoundError(
            f"{kind} model: no folder {name!r}; expected one with a {INDEX} in models/diffusers. "
            f"{how_to_get(kind)}"
        )
    check_model(folder, kind)


def model_folders(kind: ModelKind) -> dict[str, Path]:
    """Return the bundled models of a kind, and the folders below ``models/diffusers``, by name.

    Only folders with a model_index.json are listed, by their relative path, and models in the layout of the
    Hugging Face hub's cache; they may hold another kind.
    """
    roots = [Path(root) for root in folder_paths.get_folder_paths("diffusers")]
    bundled = bundled_models(kind)
    found: dict[str, Path] = {}
    for root in reversed(roots):  # of equal names the first root's is used, as everywhere in the host
        for pattern in (f"*/{INDEX}", f"*/*/{INDEX}"):
            paths = sorted(root.glob(pattern))
            found |= {path.parent.relative_to(root).as_posix(): path.parent for path in paths}
        found |= cached_models(root, INDEX)
    return bundled | found | bundled  # listed first, and not replaced by a folder of the same name


def chosen_dtype(name: str) -> torch.dtype:
    """Return the data type for the value of the dtype widget."""
    if name != AUTO:
        return DTYPES[name]
    device = comfy.model_management.get_torch_device()
    return torch.float16 if comfy.model_management.should_use_fp16(device) else torch.float32
