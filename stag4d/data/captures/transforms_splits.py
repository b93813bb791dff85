"""Which images of a nerfstudio ``transforms.json`` are of a split: ``train_filenames`` and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ...geometry.pose_json import describe
from .splits import Split


def entries_of_split(
    entries: Sequence[Mapping[str, Any]], document: Mapping[str, Any], split: Split, path: Path
) -> list[int]:
    """Return the indices of those entries of ``frames`` that are of a split.

    Without ``train_filenames`` those are for training that neither of the other lists has, and without
    ``test_filenames`` those of ``val_filenames`` are held out.

    Args:
        entries: The entries.
        document: The file's content.
        split: Which of them.
        path: The file, for messages.

    Raises:
        ValueError: if a list names no entry, or the split has no entries.
    """
    names = [_normal(entry.get("file_path")) for entry in entries]
    listed = {kind: _listed(document, f"{kind}_filenames", names, path) for kind in ("train", "test", "val")}
    held_out = listed["test"] or listed["val"]
    if split == "train":
        chosen = listed["train"] or set(names) - (listed["test"] or set()) - (listed["val"] or set())
    elif split == "test" and (held_out or path.name == "transforms.json"):
        chosen = held_out or set()
    else:
        chosen = set(names)
    indices = [index for index, name in enumerate(names) if name in chosen]
    if not indices and split == "test":
        raise ValueError(f"{path}: has no test_filenames; expected split train or all.")
    if not indices:
        raise ValueError(f"{path}: holds out all files of frames; expected split test or all.")
    return indices


def _listed(
    document: Mapping[str, Any], key: str, names: Sequence[str | None], path: Path
) -> set[str | None] | None:
    """Return the files in ``train_filenames`` or the like; None if there is no such list or it is empty."""
    value = document.get(key)
    if not isinstance(value, list) or not value:
        return None
    found = {_normal(name) for name in value}
    unknown = found - set(names)
    if unknown:
        raise ValueError(
            f"{path}: {len(unknown)} of {len(found)} names in {key} are no file of frames, such as "
            f"{describe(min(unknown, key=str))}; expected files of frames."
        )
    return found


def _normal(name: object) -> str | None:
    """Return a path with the separators of POSIX and no ``./`` before it, or None if it is none."""
    return PurePosixPath(name.replace("\\", "/")).as_posix() if isinstance(name, str) else None
