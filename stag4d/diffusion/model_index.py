"""Reads what a model folder states about its model: ``model_index.json``, and what this package adds to it.

Settings that published folders lack are in its object "stag4d" or, where that file is as published, in
``stag4d.json`` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..hub_cache import snapshot_folder
from .json_files import read_json, shown
from .network_config import class_name

INDEX = "model_index.json"
SETTINGS_KEY = "stag4d"
SETTINGS_FILE = "stag4d.json"
_CARD = "README.md"
_MAX_CARD_BYTES = 200_000
_CARD_METADATA = re.compile(r"---[ \t]*\r?\n(.*?\n)---", re.S)
_BASE_MODEL = re.compile(r"^base_model:(.*(?:\n[ \t-].*)*)", re.M)  # a name, or a list in the lines below


class Setting(NamedTuple):
    """A setting of this package in a model folder: its value, and its file and key for messages."""

    value: Any
    field: str


def model_root(folder: str | Path) -> Path:
    """Return a model's folder for its path, or for that of its repository in the cache of the hub.

    Raises:
        ValueError: if the repository has several snapshots, and none is the latest.
    """
    return snapshot_folder(Path(folder), INDEX)


def read_index(folder: Path, expected: str) -> dict[str, Any]:
    """Return the index of a model, with the content of ``stag4d.json`` under that name.

    Args:
        folder: The model's folder.
        expected: What it should be, for the error when it has no index.

    Raises:
        FileNotFoundError: if it has no index.
        ValueError: if a file is damaged, or the class name is malformed.
    """
    path = folder / INDEX
    index = read_json(path, expected)
    if index.get("_class_name") is not None:
        class_name(index["_class_name"], f"{path}: _class_name")
    beside = folder / SETTINGS_FILE
    if beside.is_file():
        index[SETTINGS_FILE] = read_json(beside, "settings of the model")
    return index


def pipeline_class(index: dict[str, Any]) -> str | None:
    """Return the class of the pipeline in an index, without its module; None if the index has none."""
    value = index.get("_class_name")
    return None if value is None else class_name(value, f"{INDEX}: _class_name")


def settings_of(index: dict[str, Any], known: Collection[str]) -> dict[str, Setting]:
    """Return the settings of a model; those in the index itself take precedence.

    Args:
        index: See ``read_index``.
        known: Names of the settings that this kind of model has.

    Raises:
        ValueError: if the settings are no object, or one is unknown.
    """
    settings: dict[str, Setting] = {}
    within = f"{INDEX}: {SETTINGS_KEY}"
    for key, place, prefix in (
        (SETTINGS_FILE, SETTINGS_FILE, f"{SETTINGS_FILE}: "),
        (SETTINGS_KEY, within, f"{within}."),
    ):
        values = index.get(key, {})
        if not isinstance(values, dict):
            raise ValueError(f"{place} is {shown(values)}; expected an object.")
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"{place} has the unknown key {shown(name)}.")
            settings[name] = Setting(value, f"{prefix}{name}")
    return settings


def folder_names(folder: Path) -> set[str]:
    """Return the names of a folder: its own, its target's, and its repository's in the hub's cache."""
    target = folder.resolve()
    cached = [part.split("--")[-1] for part in target.parts if re.fullmatch(r"models--[^/]+--[^/]+", part)]
    return {folder.absolute().name, target.name, *cached}


def original_names(index: dict[str, Any], folder: Path) -> Iterator[str]:
    """Yield the names that the files of a folder give to the model, or to the models that it was made from.

    These are the strings of the index, the name under which each network was loaded before it was saved, and
    ``base_model`` in the metadata of the model card. The text of the card may mention any model.
    """
    yield from _strings(index)
    for path in sorted(folder.glob("*/config.json")):
        if path.is_file():
            yield from _strings(read_json(path, "a configuration").get("_name_or_path"))
    yield from _base_models(folder / _CARD)


def _base_models(card: Path) -> Iterator[str]:
    """Yield ``base_model`` in the metadata of a model card, if it has one, as it is written there."""
    if card.is_file():
        with card.open("rb") as file:
            metadata = _CARD_METADATA.match(file.read(_MAX_CARD_BYTES).decode("utf-8-sig", errors="replace"))
        if metadata is not None:
            yield from _BASE_MODEL.findall(metadata[1])


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
