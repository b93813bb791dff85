"""Find the mask files of a capture's images, by names and by folders beside those of the images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from ...regular_file import check_regular_file
from ..image_folder import IMAGE_SUFFIXES, MASK_FOLDERS
from .capture import CaptureView
from .source_files import VIDEO_SUFFIXES

_FOLDERS = (*MASK_FOLDERS, "fmasks", "fmask", "seg")
_MASK_FOLDER = re.compile(r"mask[-_][\w.-]+", re.IGNORECASE)  # of EasyMocap: mask-schp, mask-schp-parsing
_NAMED_AFTER = ("{}_mask", "{}_alpha", "{}_matte", "mask_{}")
_NamesOf = Callable[[Path], Iterator[Path]]
_Listing = Callable[[Path], Mapping[str, str]]


def is_mask_folder(name: str) -> bool:
    """Return whether a folder is one of masks by its name."""
    return name.lower() in _FOLDERS or _MASK_FOLDER.fullmatch(name) is not None


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
    names_in = cache(_names_in)  # of this call: files may be written between two
    found = tuple(_with_masks(view, root, names_in) for view in views)
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


def _with_masks(view: CaptureView, root: Path, names_in: _Listing) -> CaptureView:
    """Return a view with masks if one of its images has one; those of the others may be missing."""
    if view.masks is not None:
        return view
    frames = _files(view.frames)
    is_video = isinstance(view.frames, Path)
    suffixes = VIDEO_SUFFIXES if is_video else tuple(sorted(IMAGE_SUFFIXES))
    places = [*_places(frames[0], root), *(_root_places(root) if is_video else ())]
    place = next((place for place in places if _has_mask(frames, place, suffixes, names_in)), None)
    if place is None:
        return view
    masks = tuple(
        _first(file, place, suffixes, names_in) or _expected(file, place, names_in) for file in frames
    )
    return replace(view, masks=masks[0] if is_video else masks)


def _has_mask(frames: Sequence[Path], place: _NamesOf, suffixes: Sequence[str], names_in: _Listing) -> bool:
    """Return whether one of some files has a mask at a place."""
    without: set[Path] = set()  # folders of images beside which there is no such folder of masks
    for file in frames:
        if file.parent in without:
            continue
        if not any(names_in(name.parent) for name in place(file)):
            without.add(file.parent)
        elif _first(file, place, suffixes, names_in) is not None:
            return True
    return False


def _first(file: Path, place: _NamesOf, suffixes: Sequence[str], names_in: _Listing) -> Path | None:
    """Return the mask of a file at a place, or None."""
    for name in place(file):
        names = names_in(name.parent)
        for suffix in (name.suffix.lower(), *suffixes):
            found = names.get(f"{name.stem}{suffix}")
            if found is not None and (path := name.with_name(found)) != file and path.is_file():
                return path
    return None


def _expected(file: Path, place: _NamesOf, names_in: _Listing) -> Path:
    """Return where the mask of a file is missing: in the folder that there is."""
    return next((name for name in place(file) if names_in(name.parent)), next(place(file)))


def _names_in(folder: Path) -> dict[str, str]:
    """Return the names in a folder by the same with a lower-case suffix; none if it cannot be listed."""
    try:
        return {f"{path.stem}{path.suffix.lower()}": path.name for path in folder.iterdir()}
    except OSError:
        return {}


def _places(file: Path, root: Path) -> Iterator[_NamesOf]:
    """Yield functions from a file to the paths of its mask, for each place where masks may be."""
    for pattern in _NAMED_AFTER:
        yield partial(_beside, pattern)
    others = (entry.name for entry in sorted(root.iterdir()) if _MASK_FOLDER.fullmatch(entry.name))
    for name in (*_FOLDERS, *others):
        for depth in range(len(file.relative_to(root).parts)):
            yield partial(_in_folder, root, name, depth)


def _root_places(root: Path) -> Iterator[_NamesOf]:
    """Yield functions from a video to the path of its mask in a folder at the root, for each such folder."""
    for name in _FOLDERS:
        yield partial(_at_root, root / name)


def _at_root(folder: Path, file: Path) -> Iterator[Path]:
    """Yield the path of a mask with the name of a file in a folder."""
    yield folder / file.name


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
