"""Names of users for models and scenes that ship with the package; data types of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch

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
        name: A folder, or ``bundled/NAME``.
        kind: The kind of model.

    Raises:
        ValueError: if no bundled model of that kind has the name; it lists those that exist.
    """
    if not name.startswith(_BUNDLED):
        return Path(name)
    models = bundled_models(kind)
    if name not in models:
        known = ", ".join(models) or "a folder: this copy of the package has none"
        raise ValueError(f"{name}: no such {kind} model in the package; expected {known}.")
    return models[name]
