"""Read framesets: folders ``frame_000``, ``frame_001``, ..., each with the ``transforms.json`` of a frame."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from .arrangement import arrange_views
from .capture import Capture
from .posed_image import PosedImage
from .source_files import read_document
from .transforms import UP, frames_per_second, posed_images, static_reference

_FRAME_FOLDER = re.compile(r"frame_([0-9]{1,18})")
_CAMERAS = "transforms.json"
_SEQUENCE = "sequence.json"  # of some sets; its frame rate is read


def is_frameset(folder: Path) -> bool:
    """Return whether a folder holds folders of frames with ``transforms.json``."""
    return bool(frame_folders(folder, _CAMERAS))


def frame_folders(folder: Path, holding: str) -> dict[int, Path]:
    """Return the folders ``frame_NUMBER`` that hold a file or folder, by their numbers, ascending."""
    found = {
        int(match[1]): entry
        for entry in folder.iterdir()
        if (match := _FRAME_FOLDER.fullmatch(entry.name)) and (entry / holding).exists()
    }
    return dict(sorted(found.items()))


def read_frameset(folder: Path, frame_ids: Collection[int] | None = None) -> Capture:
    """Read a frameset, as SplatKit and the export of 4DAnyone write it.

    Args:
        folder: The folder of the frames' folders.
        frame_ids: Numbers of the frames to read; None reads all.

    Raises:
        FileNotFoundError: if a frame or a file is missing.
        ValueError: if a file is malformed, a camera is no pinhole, or frames differ in their cameras.
    """
    found = frame_folders(folder, _CAMERAS)
    wanted = found.keys() if frame_ids is None else frame_ids
    images: list[PosedImage] = []
    for number in wanted:
        if number not in found:
            raise FileNotFoundError(
                f"{folder}: has no frame {number} with {_CAMERAS}; expected one of its {len(found)} frames."
            )
        path = found[number] / _CAMERAS
        images += [replace(image, time=float(number)) for image in posed_images(read_document(path), path)]
    if not images:
        raise ValueError(f"{folder}: no frames were chosen; expected at least one of {len(found)}.")
    views, times = arrange_views(images, folder, str(folder))
    sequence = folder / _SEQUENCE
    return Capture(
        format=f"frameset, frame_*/{_CAMERAS}",
        root=folder,
        views=views,
        frame_ids=times,
        fps=frames_per_second(read_document(sequence), str(sequence)) if sequence.exists() else None,
        up=UP,
        reference=static_reference(views),
    )
