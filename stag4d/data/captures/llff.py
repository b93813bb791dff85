"""Read LLFF's ``poses_bounds.npy``, as the Neural 3D Video dataset has it: one row for each camera.

A row is a 3 x 5 matrix and two depths. The columns of the matrix are the camera's down, right and backward
axes and its position in the world, and (height, width, focal length).
"""

from __future__ import annotations

import io
import tokenize
from pathlib import Path, PurePath

import numpy as np

from ..image_folder import image_files
from .arrangement import arrange_views
from .capture import Capture
from .lens import intrinsics_matrix
from .posed_image import PosedImage
from .source_files import check_size, image_side, image_size
from .static_cameras import StaticCamera, find_media, views_of_static
from .transforms import static_reference, viewmat_of_pose

NAME = "poses_bounds.npy"
_MAX_BYTES = 1 << 24  # 100,000 cameras
_NUMPY_ERRORS = (  # of damaged headers, which NumPy parses as Python
    *(ValueError, SyntaxError, TypeError, EOFError, MemoryError, RecursionError, OverflowError, Warning),
    tokenize.TokenError,
)
_IMAGE_FOLDERS = ("images", "rgb", ".")


def is_llff(folder: Path) -> bool:
    """Return whether a folder has ``poses_bounds.npy``."""
    return (folder / NAME).exists()


def read_llff(folder: Path) -> Capture:
    """Read ``poses_bounds.npy`` and find the video, or folder of images, or image of each row.

    Args:
        folder: The folder. Rows follow the sorted names of ``cam*.mp4``, of folders of images, or of images.

    Raises:
        FileNotFoundError: if there are no such files.
        ValueError: if the file is malformed, or there is another number of cameras than rows.
    """
    path = folder / NAME
    rows = read_rows(path)
    media = find_media(folder)
    if len(media) != len(rows):
        media = {name: files for name, files in media.items() if name.lower().startswith("cam")} or media
    files = [] if media else next(filter(None, (image_files(folder / name) for name in _IMAGE_FOLDERS)), [])
    names = sorted(media or {file.stem: file for file in files})
    if len(names) != len(rows):
        raise ValueError(
            f"{path}: {len(rows)} rows, and {len(names)} cameras in {folder}; expected a video cam*.mp4, a "
            "folder of images, or an image for each row."
        )
    cameras = [_camera(row, name, path) for row, name in zip(rows, names, strict=True)]
    if media:
        views, frame_ids = views_of_static(cameras, media, folder, str(path))
    else:
        ordered = sorted(files, key=lambda file: file.stem)
        posed = [_posed(camera, file, folder) for camera, file in zip(cameras, ordered, strict=True)]
        views, frame_ids = arrange_views(posed, folder, str(path))
    return Capture(
        format=f"LLFF {NAME}",
        root=folder,
        views=views,
        frame_ids=frame_ids,
        reference=static_reference(views),
    )


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


def _posed(camera: StaticCamera, file: Path, folder: Path) -> PosedImage:
    """Return the only image of a camera."""
    size = camera.size or image_size(file)
    return PosedImage(
        path=file,
        relative=PurePath(*file.relative_to(folder).parts),
        viewmat=camera.viewmat,
        K=camera.K,
        width=size[0],
        height=size[1],
        camera=camera.name,
        time=0.0,
    )
