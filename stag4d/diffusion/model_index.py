"""Reads what a model folder states about its model: ``model_index.json``, and what this package adds to it.

The object "stag4d" holds settings that published folders lack. It is in ``model_index.json`` or, where that
file is as published, in ``stag4d.json`` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .json_files import read_json, shown
from .network_config import class_name

INDEX = "model_index.json"
SETTINGS_KEY = "stag4d"
SETTINGS_FILE = "stag4d.json"
_CARD = "README.md"
_MAX_CARD_BYTES = 200_000


def read_index(folder: Path, expected: str) -> dict[str, Any]:
    """Return the index of a model, with all settings under "stag4d".

    Args:
        folder: The model's folder.
        expected: What it should be, for the error when it has no index.

    Raises:
        FileNotFoundError: if it has no index.
        ValueError: if a file is damaged, or the class name or the settings are malformed.
    """
    path = folder / INDEX
    index = read_json(path, expected)
    if index.get("_class_name") is not None:
        class_name(index["_class_name"], f"{path}: _class_name")
    beside = folder / SETTINGS_FILE
    if beside.is_file():
        settings = settings_of(index)
        index[SETTINGS_KEY] = {**read_json(beside, "settings of the model"), **settings}
    return index


def pipeline_class(index: dict[str, Any]) -> str | None:
    """Return the class of the pipeline in an index, without its module; None if the index has none."""
    value = index.get("_class_name")
    return None if value is None else class_name(value, f"{INDEX}: _class_name")


def settings_of(index: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in an index; raises ValueError if they are no object."""
    settings = index.get(SETTINGS_KEY, {})
    if not isinstance(settings, dict):
        raise ValueError(f"{INDEX}: {SETTINGS_KEY} is {shown(settings)}; expected an object.")
    return settings


def folder_names(folder: Path) -> set[str]:
    """Return the names of a folder: its own, its target's, and its repository's in the hub's cache."""
    target = folder.resolve()
    cached = [part.split("--")[-1] for part in target.parts if re.fullmatch(r"models--[^/]+--[^/]+", part)]
    return {folder.absolute().name, target.name, *cached}


def origin_texts(index: dict[str, Any], folder: Path) -> Iterator[str]:
    """Yield what the files of a folder state about the origin of the model, in no fixed form.

    These are the strings of the index, the name under which each network was loaded before it was saved, and
    the model card.
    """
    yield from _strings(index)
    for path in sorted(folder.glob("*/config.json")):
        if path.is_file():
            yield from _strings(read_json(path, "a configuration").get("_name_or_path"))
    card = folder / _CARD
    if card.is_file():
        with card.open("rb") as file:
            yield file.read(_MAX_CARD_BYTES).decode("utf-8", errors="replace")


def _strings(value: object) -> Iterator[str]:
    """Yield the strings in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from _strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child)
