"""View folders, and captures of other programs, in ComfyUI's input and output folders."""

import os
from collections.abc import Iterator
from pathlib import Path

from ...stag4d.data import Capture, Split, check_views, find_capture, find_view_folders
from .files import content_hash, host_roots, resolve_name, reused_search, state_hash

FRAMES, CAMERAS = "ref", "views.json"  # of which a view folder has one or both
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}  # in view folders


def view_folder_names() -> list[str]:
    """Return the names of the view folders and captures in the input and, marked, the output folder."""
    return [
        f"{path.relative_to(root).as_posix()}{mark}"
        for mark, root in host_roots().items()
        if mark != " [temp]"
        for path in reused_search(root, "/views", find_view_folders)
    ]


def view_source(name: str, split: Split) -> Path | Capture:
    """Return the view folder, or the capture in the folder, with a name from ``view_folder_names``.

    The name of a JSON file of a capture is taken, too. Missing files are found, but no image is read.

    Raises:
        ValueError: if it, or a file of a capture, lies outside ComfyUI's folders, or a file is malformed.
        FileNotFoundError: if there is no such folder, it holds no views, or a file is missing.
    """
    path = resolve_name(name, "view folder")
    if _is_view_folder(path):
        check_views(path)
        return path
    capture = find_capture(path, split) if path.exists() else None
    if capture is None:
        raise FileNotFoundError(
            f"view folder: {name!r} has no folder {FRAMES!r} and no cameras of a known format; expected "
            f"frames as {FRAMES}/0_rgba.png, {CAMERAS}, transforms.json, a COLMAP model or the like. Press R "
            "to refresh the list."
        )
    roots = [root.resolve() for root in host_roots().values()]
    for file in _capture_files(capture):
        if not any(file.resolve().is_relative_to(root) for root in roots):
            raise ValueError(
                f"view folder: {name!r} has links that lead out of ComfyUI's folders, such as {file.name}; "
                "copy the files into it."
            )
    return capture


def view_folder_hash(name: str) -> str:
    """Return a hash that changes with the files of a view folder or capture.

    Images of a view folder are read; a capture may be large, and its files count by size and time.
    """
    path = resolve_name(name, "view folder")
    root = path if path.is_dir() else path.parent
    files = sorted(_files_below(root))  # opening a named pipe would wait for ever
    if not _is_view_folder(root):
        return state_hash(files, root)
    return content_hash(
        (file for file in files if file.suffix in IMAGE_SUFFIXES or file == root / CAMERAS), root
    )


def _is_view_folder(path: Path) -> bool:
    """Return whether a folder is one of frames and views, as this pack and the official code write it."""
    return (path / FRAMES).is_dir() or (path / CAMERAS).exists()


def _capture_files(capture: Capture) -> Iterator[Path]:
    """Yield the image, mask and video files of a capture."""
    for view in capture.views:
        for files in (view.frames, view.masks or ()):
            yield from (files,) if isinstance(files, Path) else files


def _files_below(root: Path) -> Iterator[Path]:
    """Yield the regular files at any depth below a folder."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file():
                yield path
