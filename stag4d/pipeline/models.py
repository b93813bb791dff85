"""Names of users for models and scenes that ship with the package; data types of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch

from ..geometry.pose_json import read_json_object
from ..hub_cache import snapshot_folder
from ..weights import FOLDER

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Data types of networks by the names that users give."""

ModelKind = Literal["multiview", "guidance"]

_BUNDLED = "bundled/"
_INDEX = "model_index.json"
_INDEX_FIELDS: dict[ModelKind, str] = {  # the field of an index that only this kind has
    "multiview": "ramping_coefficients",
    "guidance": "clip_camera_projection",
}
_NETWORKS: dict[ModelKind, tuple[str, ...]] = {  # subfolders with weights
    "multiview": ("text_encoder", "unet", "vae", "vision_encoder"),
    "guidance": ("clip_camera_projection", "image_encoder", "unet", "vae"),
}
_WEIGHTS = ("*.safetensors", "*.bin")
_HOW_TO_GET: dict[ModelKind, str] = {
    "multiview": "`python -m stag4d download zero123plus-v1.1 -o FOLDER` downloads a published model; for "
    "ComfyUI, run it in this pack's folder, with models/diffusers of ComfyUI as FOLDER. "
    "bundled/mini-zero123plus, trained on toys, needs no download.",
    "guidance": "Zero123-XL is published as zero123-xl-diffusers, a folder for models/diffusers; "
    "bundled/mini-zero123, trained on toys, needs no download.",
}


def how_to_get(kind: ModelKind) -> str:
    """Return the end of a message about a missing model: where it is published, and which one is bundled."""
    return _HOW_TO_GET[kind]


def _check_index(folder: Path, kind: ModelKind) -> None:
    """Raise FileNotFoundError, which says how to get a model, if a folder has no index."""
    path = folder / _INDEX
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such file; expected a model folder in diffusers' layout. {how_to_get(kind)}"
        )


def check_model(folder: Path, kind: ModelKind) -> None:
    """Raise an error if a model's folder is incomplete or holds another kind; no network is loaded.

    Args:
        folder: Folder in diffusers' layout.
        kind: The kind of model.

    Raises:
        FileNotFoundError: if the index or the weights of a network are missing; it says how to get a model.
        ValueError: if the index is damaged, or that of another kind of model.
    """
    _check_index(folder, kind)
    index = read_json_object(folder / _INDEX)
    if _INDEX_FIELDS[kind] not in index:
        raise ValueError(
            f"{folder}: is no {kind} model, its {_INDEX} names {index.get('_class_name')!r}; expected one "
            f"with {_INDEX_FIELDS[kind]}. {how_to_get(kind)}"
        )
    for name in _NETWORKS[kind]:
        if not any(any((folder / name).glob(pattern)) for pattern in _WEIGHTS):
            raise FileNotFoundError(
                f"{folder / name}: no weights; expected a file such as {name}/*.safetensors, as published. "
                f"{how_to_get(kind)}"
            )


def bundled_models(kind: ModelKind) -> dict[str, Path]:
    """Return the folders of the bundled models of a kind by their names, ``bundled/NAME``."""
    return {
        f"{_BUNDLED}{index.parent.name}": index.parent
        for index in sorted(FOLDER.glob(f"*/{_INDEX}"))
        if _INDEX_FIELDS[kind] in json.loads(index.read_text(encoding="utf-8"))
    }


def bundled_scenes() -> dict[str, Path]:
    """Return the bundled scene files by their names, ``bundled/NAME.safetensors``."""
    return {f"{_BUNDLED}{path.name}": path for path in sorted(FOLDER.glob("scenes/*.safetensors"))}


def model_folder(name: str, kind: ModelKind) -> Path:
    """Return the folder that a model argument stands for.

    Args:
        name: A folder, that of a repository in the cache of the Hugging Face hub, or ``bundled/NAME``.
        kind: The kind of model.

    Raises:
        ValueError: if a repository has several snapshots, and none is the latest, or no bundled model of that
            kind has the name; it lists those that exist.
    """
    if not name.startswith(_BUNDLED):
        return snapshot_folder(Path(name), _INDEX)
    models = bundled_models(kind)
    if name not in models:
        known = ", ".join(models) or "a folder: this copy of the package has none"
        raise ValueError(f"{name}: no such {kind} model in the package; expected {known}.")
    return models[name]
