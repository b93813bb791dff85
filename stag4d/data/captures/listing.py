"""Find the folders below one that hold view sets or captures, by the names in them."""

from __future__ import annotations

import os
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

from ..view_layout import FRAMES, VIEWS, poses_file
from .detection import has_capture
from .frame_folders import frame_number

_FILES = {  # of which captures have one
    *("transforms.json", "transforms_train.json", "poses_bounds.npy", "cameras.json", "scene.json"),
    *("train_meta.json", "intri.yml", "camera_extrinsics.json"),
}
_FOLDERS = {"cameras", "sparse", "sparse_", "colmap"}


def find_view_folders(root: str | Path) -> list[Path]:
    """Return the folders that hold view sets or captures: a folder, and those at any depth below it.

    No image is read, and the folders inside a capture are not searched, which may hold thousands of files.
    Hidden folders and links are left out.

    Args:
        root: The folder.

    Returns:
        The folders, sorted. Their files may still be refused by ``read_views`` or ``find_capture``.
    """
    found, pending = [], [Path(root)]
    while pending:
        folder = pending.pop()
        files, folders, linked = _entries(folder)
        is_view_set = FRAMES in folders | linked or poses_file(folder).name in files
        is_capture = not is_view_set and _has_names(files, folders | linked) and has_capture(folder)
        if is_view_set or is_capture:
            found.append(folder)
        if is_view_set:
            folders -= {FRAMES, VIEWS}
        if not is_capture or folder == Path(root):
            pending += [folder / name for name in folders]
    return sorted(found)


def _entries(folder: Path) -> tuple[set[str], set[str], set[str]]:
    """Return the names of the files, folders and linked folders in a folder that are not hidden."""
    files: set[str] = set()
    folders: set[str] = set()
    linked: set[str] = set()
    with suppress(OSError), os.scandir(folder) as entries:  # it may be gone, or may not be listed
        for entry in entries:
            if not entry.name.startswith("."):
                kind = files if not entry.is_dir() else linked if entry.is_symlink() else folders
                kind.add(entry.name)
    return files, folders, linked


def _has_names(files: Set[str], folders: Set[str]) -> bool:
    """Return whether a folder with these entries may hold a capture."""
    is_known = bool(files & _FILES or folders & _FOLDERS)
    return is_known or any(frame_number(name) is not None for name in folders)
