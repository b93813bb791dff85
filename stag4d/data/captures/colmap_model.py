"""Read a COLMAP sparse model, text or binary: cameras, images, and a sample of the points.

https://colmap.github.io/format.html. ``qvec`` (wxyz) and ``tvec`` are world-to-camera with OpenCV axes; pixel
centers are at +0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from ...geometry import check_camera_model, check_distortion, check_intrinsics, quats_to_rotations
from .camera_values import intrinsics_matrix
from .colmap_binary import binary_cameras, binary_images, binary_points
from .colmap_records import CameraRecord, ImageRecord
from .colmap_text import text_cameras, text_images, text_points
from .source_files import MAX_SIDE, relative_path

_MAX_POINTS = 20_000  # that are read for their mean
_COEFFICIENTS = {  # names of the parameters after those of the pinhole
    "SIMPLE_PINHOLE": (),
    "PINHOLE": (),
    "SIMPLE_RADIAL": ("k1",),
    "RADIAL": ("k1", "k2"),
    "OPENCV": ("k1", "k2", "p1", "p2"),
    "FULL_OPENCV": ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
}
_FOLDERS = ("sparse/0", "sparse", "sparse_", "colmap/sparse/0")  # of models in that of a capture
_UNIT_TOLERANCE = 1e-2  # of the length of a quaternion
_ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")


@dataclass(frozen=True, eq=False)
class ColmapCamera:
    """Intrinsics of one COLMAP camera: K [3, 3] float64, pixels, and the image size."""

    K: np.ndarray
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class ColmapImage:
    """One COLMAP image: its id, its camera's id, its path and viewmat [4, 4], float64.

    The path is relative to the folder of images and does not leave it.
    """

    image_id: int
    camera_id: int
    path: PurePosixPath
    viewmat: np.ndarray


def is_model(folder: Path) -> bool:
    """Return whether a folder holds a sparse model."""
    return any((folder / f"cameras.{suffix}").exists() for suffix in ("bin", "txt"))


def find_model(folder: Path) -> Path | None:
    """Return the folder of the sparse model of a capture, or None."""
    return next((folder / name for name in _FOLDERS if is_model(folder / name)), None)


def read_model(folder: Path) -> tuple[dict[int, ColmapCamera], list[ColmapImage]]:
    """Read ``cameras`` and ``images`` of a sparse model; binary files are preferred.

    Args:
        folder: The folder of the model.

    Returns:
        Cameras by id, and images.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is cut short or malformed, or a camera is no pinhole.
    """
    if (folder / "cameras.bin").exists():
        path, image_path = folder / "cameras.bin", folder / "images.bin"
        cameras = {record.camera_id: _camera(record, path) for record in binary_cameras(path)}
        images = [_image(record, image_path) for record in binary_images(image_path)]
    else:
        path, image_path = folder / "cameras.txt", folder / "images.txt"
        cameras = {record.camera_id: _camera(record, path) for record in text_cameras(path)}
        images = [_image(record, image_path) for record in text_images(image_path)]
    if not images:
        raise ValueError(f"{image_path}: has no images; expected one for each camera.")
    for image in images:
        if image.camera_id not in cameras:
            raise ValueError(
                f"{image_path}: image {image.path} has camera {image.camera_id}; expected one of the "
                f"{len(cameras)} cameras of {path.name}."
            )
    return cameras, images


def mean_of_points(folder: Path) -> tuple[float, float, float] | None:
    """Return the mean of up to 20,000 points of a sparse model, or None if it has none."""
    for name, read in (("points3D.bin", binary_points), ("points3D.txt", text_points)):
        if (folder / name).is_file():
            points = np.array(list(islice(read(folder / name), _MAX_POINTS))).reshape(-1, 3)
            points = points[np.isfinite(points).all(axis=1)]
            if len(points):
                x, y, z = (float(value) for value in points.mean(axis=0))
                return x, y, z
    return None


def _camera(record: CameraRecord, path: Path) -> ColmapCamera:
    """Return a checked camera."""
    subject = f"{path}: camera {record.camera_id}"
    check_camera_model(record.model, subject)
    names = _COEFFICIENTS.get(record.model, ())
    num_expected = (3 if record.model in _ONE_FOCAL else 4) + len(names)
    values = record.parameters
    if len(values) != num_expected:
        raise ValueError(
            f"{subject}: has {len(values)} parameters; expected {num_expected} of model {record.model}."
        )
    check_distortion(dict(zip(names, values[num_expected - len(names) :], strict=True)), subject)
    if not all(1 <= side <= MAX_SIDE for side in (record.width, record.height)):
        raise ValueError(
            f"{subject}: images of {record.width}x{record.height} pixels; expected 1 to {MAX_SIDE} a side."
        )
    fx, fy, cx, cy = (values[0], *values[:3]) if record.model in _ONE_FOCAL else values[:4]
    K = intrinsics_matrix(fx, fy, cx, cy)
    check_intrinsics(torch.from_numpy(K)[None], [subject])
    return ColmapCamera(K, record.width, record.height)


def _image(record: ImageRecord, path: Path) -> ColmapImage:
    """Return a checked image."""
    subject = f"{path}: image {record.image_id}"
    length = math.hypot(*record.quat)
    if not (abs(length - 1) < _UNIT_TOLERANCE and np.isfinite(record.translation).all()):
        raise ValueError(f"{subject}: the quaternion has length {length:g}; expected 1, and finite numbers.")
    name = relative_path(record.name, f"{subject}: its name", "the folder of images")
    viewmat = np.eye(4)
    viewmat[:3, :3] = quats_to_rotations(torch.tensor([record.quat], dtype=torch.float64))[0].numpy()
    viewmat[:3, 3] = record.translation
    return ColmapImage(record.image_id, record.camera_id, name, viewmat)
