"""Find the mask files of a capture's images, by names and by folders beside those of the images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ...regular_file import check_regular_file
from ..image_folder import IMAGE_SUFFIXES, MASK_FOLDERS
from .capture import CaptureView
from .source_files import VIDEO_SUFFIXES

_FOLDERS = (*MASK_FOLDERS, "fmasks", "fmask", "seg")
_MASK_FOLDER = re.compile(r"mask[-_]\w+", re.IGNORECASE)  # of EasyMocap: mask-schp
_NAMED_AFTER = ("{}_mask", "{}_alpha", "{}_matte", "mask_{}")
_NamesOf = Callable[[Path], Iterator[Path]]


def check_files(files: Sequence[Path], subject: str, kind: str) -> None:
    """Raise FileNotFoundError if files are missing.

    Args:
        files: The files.
        subject: What names them, for the message.
        kind: ``image``, ``mask`` or ``video``.
    """
    missing = [file for file in files if not file.is_file()]
    if not missing:
        return
    if missing[0].exists():
        check_regular_file(missing[0], str(missing[0]), f"an {kind}" if kind == "image" else f"a {kind}")
    raise FileNotFoundError(
        f"{subject}: {len(missing)} of {len(files)} {kind} files are missing, the first {missing[0]}; "
        "expected all that it lists."
    )


def masks_of_views(views: Sequence[CaptureView], root: Path, subject: str) -> tuple[CaptureView, ...]:
    """Return views with the masks that are beside their images, where the source names none.

    Args:
        views: The views.
        root: Folder of the capture.
        subject: The source, for messages.

    Raises:
        FileNotFoundError: if some images have masks and others have none.
    """
    found = tuple(_with_masks(view, root) for view in views)
    masks = [mask for view in found for mask in _files(view.masks)]
    check_files(masks, subject, "mask")
    without = [view.name for view in found if view.masks is None]
    if masks and without:
        raise FileNotFoundError(
            f"{subject}: {len(without)} of {len(found)} cameras have no masks, the first {without[0]}; "
            "expected masks of all images, or of none."
        )
    return found


def _files(files: tuple[Path, ...] | Path | None) -> tuple[Path, ...]:
    """Return files, or one, as a tuple."""
    return (files,) if isinstance(files, Path) else files or ()


def _with_masks(view: CaptureView, root: Path) -> CaptureView:
    """Return a view with masks if its first image has one."""
    if view.masks is not None:
        return view
    frames = _files(view.frames)
    is_video = isinstance(view.frames, Path)
    suffixes = VIDEO_SUFFIXES if is_video else tuple(sorted(IMAGE_SUFFIXES))
    place = next((place for place in _places(frames[0], root) if _first(frames[0], place, suffixes)), None)
    if place is None:
        return view
    masks = tuple(_first(file, place, suffixes) or next(place(file)) for file in frames)
    return replace(view, masks=masks[0] if is_video else masks)


def _first(file: Path, place: _NamesOf, suffixes: Sequence[str]) -> Path | None:
    """Return the mask of a file at a place, or None."""
    for name in place(file):
        for candidate in (name, *(name.with_suffix(suffix) for suffix in suffixes)):
            if candidate != file and candidate.is_file():
                return candidate
    return None


def _places(file: Path, root: Path) -> Iterator[_NamesOf]:
    """Yield functions from a file to the paths of its mask, for each place where masks may be."""
    for pattern in _NAMED_AFTER:
        yield partial(_beside, pattern)
    others = (entry.name for entry in sorted(root.iterdir()) if _MASK_FOLDER.fullmatch(entry.name))
    for name in (*_FOLDERS, *others):
        for depth in range(len(file.relative_to(root).parts)):
            yield partial(_in_folder, root, name, depth)


def _beside(pattern: str, file: Path) -> Iterator[Path]:
    """Yield the path of a mask that is named after a file."""
    yield file.with_name(pattern.format(file.stem) + file.suffix)


def _in_folder(root: Path, name: str, depth: int, file: Path) -> Iterator[Path]:
    """Yield the paths with a folder of masks before the part at ``depth``, and in place of it."""
    parts = file.relative_to(root).parts
    changed = [(*parts[:depth], name, *parts[depth:])]
    if depth < len(parts) - 1:
        changed.append((*parts[:depth], name, *parts[depth + 1 :]))
    for path in changed:
        yield root.joinpath(*path)
        yield root.joinpath(*path[:-1], f"{path[-1]}.png")  # as in COLMAP: masks/0.jpg.png
