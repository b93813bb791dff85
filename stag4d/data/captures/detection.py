"""Find out in which format a folder holds posed images of several cameras, and read what it lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from ...geometry import check_direction
from ..view_layout import FRAMES, poses_file
from .capture import Capture
from .colmap import is_colmap, read_colmap
from .easymocap import is_easymocap, read_easymocap
from .four_d_anyone import is_4danyone, mentions_poses, read_4danyone
from .framesets import is_frameset, read_frameset
from .hypernerf import is_hypernerf, read_hypernerf
from .llff import is_llff, read_llff
from .panoptic import is_panoptic, read_panoptic
from .recammaster import is_recammaster, read_recammaster
from .splits import Split, check_split
from .transforms import HELD_OUT, is_transforms, read_transforms


class _Format(NamedTuple):
    """A format: whether a folder is of it, its reader, and whether it has a split of its own."""

    matches: Callable[[Path], bool]
    read: Callable[[Path, Split], Capture]
    has_split: bool


_FORMATS = (  # the first that matches is read
    _Format(is_frameset, lambda folder, _: read_frameset(folder), False),
    _Format(is_4danyone, lambda folder, _: read_4danyone(folder), False),
    _Format(is_transforms, read_transforms, True),
    _Format(is_llff, read_llff, True),
    _Format(is_hypernerf, read_hypernerf, True),
    _Format(is_panoptic, read_panoptic, True),
    _Format(is_easymocap, lambda folder, _: read_easymocap(folder), False),
    _Format(is_recammaster, lambda folder, _: read_recammaster(folder), False),
    _Format(is_colmap, lambda folder, _: read_colmap(folder), False),
)


def has_capture(folder: Path) -> bool:
    """Return whether a folder seems to hold a capture, by the names in it; fast, for lists of folders."""
    others = (candidate.matches for candidate in _FORMATS if candidate.matches is not is_4danyone)
    try:
        return any(matches(folder) for matches in others) or mentions_poses(folder)
    except OSError:
        return False


def check_cameras(capture: Capture) -> Capture:
    """Return a capture; raises ValueError if its cameras look away from the point that their axes share."""
    check_direction(torch.cat([view.viewmats for view in capture.views]), str(capture.root))
    return capture


def find_capture(path: str | Path, split: Split = "train") -> Capture | None:
    """Return the capture in a folder; no image is decoded.

    Args:
        path: The folder, or a JSON file in it. ``transforms_test.json`` and ``transforms_val.json`` are read
            themselves.
        split: Which images: those for training, those that the source holds out, or all.

    Returns:
        The capture; None if the folder holds none, or is a ViewSet folder, which ``read_views`` reads.

    Raises:
        FileNotFoundError: if there is no such path, or files that the capture lists are missing.
        ValueError: if a file of the capture is malformed, a camera is distorted or mirrored, or the source
            has no images of the split.
    """
    check_split(split)
    place = Path(path)
    if not place.exists():
        raise FileNotFoundError(f"{place}: no such file or folder; expected a folder of views.")
    if place.is_dir():
        folder = place
    elif place.suffix.lower() == ".json":
        folder = place.parent
        if place.name in HELD_OUT:
            return check_cameras(read_transforms(folder, "test", place))
    else:
        return None
    if poses_file(folder).exists() or (folder / FRAMES).is_dir():
        return None
    chosen = next((candidate for candidate in _FORMATS if candidate.matches(folder)), None)
    if chosen is None:
        return None
    if split == "test" and not chosen.has_split:
        raise ValueError(f"{folder}: its format holds out no images; expected split train or all.")
    return check_cameras(chosen.read(folder, split))
