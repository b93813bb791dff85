"""What users choose of a model: a folder, or one that ships with the package, and the type of its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch

from ..weights import FOLDER

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Types that the networks may have, by the names that users give."""

ModelKind = Literal["multiview", "guidance"]

_BUNDLED = "bundled/"
_INDEX = "model_index.json"
_TELLING: dict[ModelKind, str] = {  # the field of an index that only this kind has
    "multiview": "ramping_coefficients",
    "guidance": "clip_camera_projection",
}


def bundled_models(kind: ModelKind) -> dict[str, Path]:
    """Return the folders of the models of a kind that ship with the package, by ``bundled/NAME``."""
    return {
        f"{_BUNDLED}{index.parent.name}": index.parent
        for index in sorted(FOLDER.glob(f"*/{_INDEX}"))
        if _TELLING[kind] in json.loads(index.read_text(encoding="utf-8"))
    }


def model_folder(name: str, kind: ModelKind) -> Path:
    """Return the folder that a model argument stands for.

    Args:
        name: A folder, or ``bundled/NAME``.
        kind: What it is to be.

    Raises:
        ValueError: if no bundled model of that kind has the name; it lists those that are there.
    """
    if not name.startswith(_BUNDLED):
        return Path(name)
    models = bundled_models(kind)
    if name not in models:
        there = ", ".join(models) or "a folder: this copy of the package has none"
        raise ValueError(f"{name}: no such {kind} model in the package; expected {there}.")
    return models[name]
