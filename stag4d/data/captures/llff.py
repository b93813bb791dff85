"""Read LLFF's ``poses_bounds.npy``, as the Neural 3D Video dataset has it: one row for each camera.

A row is a 3 x 5 matrix and two depths. The columns of the matrix are the camera's down, right and backward
axes and its position in the world, and (height, width, focal length).
"""

from __future__ import annotations

import io
import logging
import tokenize
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..image_folder import image_files, is_mask_name
from .camera_values import intrinsics_matrix, viewmat_of_pose
from .capture import Capture, static_reference
from .source_files import check_size, image_side
from .splits import Split
from .static_cameras import Media, StaticCamera, find_media, views_of_static

_logger = logging.getLogger(__name__)

NAME = "poses_bounds.npy"
_MAX_BYTES = 1 << 24  # 100,000 cameras
_NUMPY_ERRORS = (  # of damaged headers, which NumPy parses as Python
    *(ValueError, SyntaxError, TypeError, EOFError, MemoryError, RecursionError, OverflowError, Warning),
    tokenize.TokenError,
)
_IMAGE_FOLDERS = ("images", "rgb", ".")
_CAMERA = "cam"  # of which names of cameras begin in the Neural 3D Video dataset
_HELD_OUT = "cam00"  # as in the papers that evaluate on that dataset
_MIN_TRAINING = 2  # cameras that must be left for it: one alone has no depth


def is_llff(folder: Path) -> bool:
    """Return whether a folder has ``poses_bounds.npy``."""
    return (folder / NAME).exists()


def read_llff(folder: Path, split: Split = "train") -> Capture:
    """Read ``poses_bounds.npy`` and find the video, or folder of images, or image of each row.

    Args:
        folder: The folder. Rows follow the sorted names of the cameras: of videos or folders of images
            ``cam*`` if there are any, else of others, or of images.
        split: Which cameras; ``cam00`` is held out of ``train`` if there are two others.

    Raises:
        FileNotFoundError: if there are no such files.
        ValueError: if the file is malformed, there is another number of cameras than rows, or no camera is
            held out for split ``test``.
    """
    path = folder / NAME
    rows = read_rows(path)
    media = _media(folder, len(rows))
    if len(media) != len(rows):
        raise ValueError(
            f"{path}: {len(rows)} rows, and {len(media)} cameras in {folder}; expected a video cam*.mp4, a "
            "folder of images, or an image for each row."
        )
    cameras = [_camera(row, name, path) for row, name in zip(rows, sorted(media), strict=True)]
    cameras = _of_split(cameras, split, path)
    views, frame_ids = views_of_static(cameras, media, folder, str(path))
    return Capture(
        format=f"LLFF {NAME}",
        root=folder,
        views=views,
        frame_ids=frame_ids,
        reference=static_reference(views),
    )


def _media(folder: Path, num_rows: int) -> dict[str, Media]:
    """Return the files of each camera: the first that are as many as the rows, else the first."""
    found = list(find_media(folder))
    named = [
        {name: files for name, files in media.items() if name.lower().startswith(_CAMERA)} for media in found
    ]
    candidates = list(filter(None, named)) or [*found, *_single_images(folder)]
    return next((media for media in candidates if len(media) == num_rows), next(iter(candidates), {}))


def _single_images(folder: Path) -> Iterator[dict[str, Media]]:
    """Yield the images of a folder, each of a camera of its own."""
    for name in _IMAGE_FOLDERS:
        files = [file for file in image_files(folder / name) if not is_mask_name(file.stem)]
        is_distinct = len({file.stem for file in files}) == len(files)
        yield {file.stem if is_distinct else file.name: (file,) for file in files}


def _of_split(cameras: list[StaticCamera], split: Split, path: Path) -> list[StaticCamera]:
    """Return the cameras of a split."""
    held_out = [
        camera for camera in cameras if camera.name.lower() == _HELD_OUT and len(cameras) > _MIN_TRAINING
    ]
    if split == "test" and not held_out:
        raise ValueError(
            f"{path}: has no {_HELD_OUT} beside {_MIN_TRAINING} others, which would be held out; expected "
            "split train or all."
        )
    if split == "test":
        return held_out
    if split == "train" and held_out:
        _logger.warning("%s: %s is held out; split all reads it, too.", path, held_out[0].name)
        return [camera for camera in cameras if camera is not held_out[0]]
    return cameras


def read_rows(path: Path) -> np.ndarray:
    """Return the rows of ``poses_bounds.npy``, float64 [N, 17].

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no array of finite numbers [N, 17], cut short or too large.
    """
    check_size(path, _MAX_BYTES, "a NumPy file")
    content = path.read_bytes()
    try:
        shape, num_bytes = _declared(content)
        if len(shape) != 2 or shape[1] != 17 or not shape[0] or num_bytes > len(content):
            raise ValueError(f"shape {list(shape)} in {len(content)} bytes")
        rows = np.load(io.BytesIO(content), allow_pickle=False).astype(np.float64)
    except _NUMPY_ERRORS as error:
        raise ValueError(
            f"{path}: cannot be read as a NumPy array [N, 17] ({error}); expected one."
        ) from error
    if not np.isfinite(rows).all():
        raise ValueError(f"{path}: has numbers that are not finite; expected finite ones.")
    return rows


def _declared(content: bytes) -> tuple[tuple[int, ...], float]:
    """Return the shape that the header of a NumPy file declares, and the size of its numbers, bytes."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"version {version}")
    shape, _, dtype = read[version](file)
    if dtype.kind not in "fiu":
        raise ValueError(f"numbers of type {dtype}")
    return shape, float(np.prod([float(length) for length in shape])) * dtype.itemsize


def _camera(row: np.ndarray, name: str, path: Path) -> StaticCamera:
    """Return the camera of a row [17]."""
    subject = f"{path}: camera {name}"
    down, right, backward, center, (height, width, focal) = row[:15].reshape(3, 5).T
    c2w = np.eye(4)
    c2w[:3] = np.stack([right, down, -backward, center], axis=-1)  # OpenCV axes
    size = image_side(float(width), f"{subject}: width"), image_side(float(height), f"{subject}: height")
    K = intrinsics_matrix(focal, focal, size[0] / 2, size[1] / 2)
    return StaticCamera(name, viewmat_of_pose(c2w, subject, "opencv"), K, size)
