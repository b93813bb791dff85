"""Read framesets: folders ``frame_000``, ``frame_001``, ..., each with the ``transforms.json`` of a frame."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from .arrangement import arrange_views
from .capture import Capture, static_reference
from .frame_folders import find_frame_folders, has_frame_folders, warn_of_incomplete
from .posed_image import PosedImage
from .source_files import frames_per_second, read_document
from .transforms import UP, posed_images

_CAMERAS = "transforms.json"
_SEQUENCE = "sequence.json"  # of some sets; its frame rate is read


def is_frameset(folder: Path) -> bool:
    """Return whether a folder holds folders of frames with ``transforms.json``."""
    return has_frame_folders(folder, _has_cameras)


def read_frameset(folder: Path, frame_ids: Collection[int] | None = None) -> Capture:
    """Read a frameset, as SplatKit and the export of 4DAnyone write it.

    Args:
        folder: The folder of the frames' folders.
        frame_ids: Numbers of the frames to read; None reads all.

    Raises:
        FileNotFoundError: if a frame or a file is missing.
        ValueError: if a file is malformed, a camera is no pinhole, frames differ in their cameras, or two
            folders have the same number.
    """
    found = find_frame_folders(folder, _has_cameras)
    if frame_ids is None:
        warn_of_incomplete(folder, found, _CAMERAS)
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


def _has_cameras(frame: Path) -> bool:
    """Return whether the folder of a frame has ``transforms.json``."""
    return (frame / _CAMERAS).exists()
