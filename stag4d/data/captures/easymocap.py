"""Read EasyMocap's ``intri.yml`` and ``extri.yml``: files of OpenCV's FileStorage.

``Rot_{name}`` (3 x 3) or ``R_{name}`` (Rodrigues) and ``T_{name}`` are world-to-camera with OpenCV axes. As
in all calibrations by OpenCV, pixel centers are at integers.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...geometry import check_distortion
from .camera_values import PIXEL_CENTER
from .capture import Capture, static_reference
from .source_files import MAX_SIDE, check_size
from .static_cameras import StaticCamera, find_media, views_of_static

_logger = logging.getLogger(__name__)

_INTRINSICS, _EXTRINSICS = "intri.yml", "extri.yml"
_MAX_BYTES = 1 << 24
_MAX_NAME = 100
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_MATRIX = re.compile(
    r"^(\w[\w.-]*)[ \t]*:[ \t]*!!opencv-matrix[ \t]*\r?\n[ \t]*rows:[ \t]*([0-9]{1,3})[ \t]*\r?\n"
    r"[ \t]*cols:[ \t]*([0-9]{1,3})[ \t]*\r?\n[ \t]*dt:[ \t]*\w+[ \t]*\r?\n[ \t]*data:[ \t]*\[([^\]]*)\]",
    re.MULTILINE,
)
_SCALAR = re.compile(rf"^([HW]_\w[\w.-]*)[ \t]*:[ \t]*({_NUMBER})[ \t]*\r?$", re.MULTILINE)
_NAMES = re.compile(r"^names[ \t]*:[ \t]*\r?\n((?:[ \t]*-[^\n]*(?:\n|\Z))+)", re.MULTILINE)
_DISTORTION = (  # OpenCV's order
    *("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "tau_x", "tau_y"),
)


def is_easymocap(folder: Path) -> bool:
    """Return whether a folder has ``intri.yml`` and ``extri.yml``."""
    return (folder / _INTRINSICS).exists() and (folder / _EXTRINSICS).exists()


def read_easymocap(folder: Path) -> Capture:
    """Read the cameras, and find the images in ``images/NAME`` or the videos in ``videos``.

    Args:
        folder: The folder.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is malformed, or a camera has distortion.
    """
    path = folder / _EXTRINSICS
    text = _text(path)
    names, extrinsics = _camera_names(text, path), read_matrices(text, path)
    intrinsics_text = _text(folder / _INTRINSICS)
    intrinsics = read_matrices(intrinsics_text, folder / _INTRINSICS)
    sizes = {match[1]: float(match[2]) for match in _SCALAR.finditer(intrinsics_text)}
    media = max(find_media(folder), key=lambda found: len(found.keys() & set(names)), default={})
    missing = [name for name in names if name not in media]
    if missing:
        raise FileNotFoundError(
            f"{folder}: {len(missing)} of {len(names)} cameras have no images/NAME and no videos/NAME.mp4, "
            f"the first {missing[0]}; expected one for each."
        )
    others = [name for name in media if name not in names]
    if others:
        _logger.warning(
            "%s: %d beside the %d cameras of %s, the first %s, are left out.",
            folder,
            len(others),
            len(names),
            _EXTRINSICS,
            others[0],
        )
    cameras = []
    for name in names:
        K = _intrinsics(name, intrinsics, f"{folder / _INTRINSICS}: camera {name}")
        viewmat = _viewmat(name, extrinsics, f"{path}: camera {name}")
        cameras.append(StaticCamera(name, viewmat, K, _size(name, sizes)))
    views, frame_ids = views_of_static(cameras, media, folder, f"{folder}: {_INTRINSICS}, {_EXTRINSICS}")
    return Capture(
        format=f"EasyMocap {_INTRINSICS} and {_EXTRINSICS}",
        root=folder,
        views=views,
        frame_ids=frame_ids,
        reference=static_reference(views),
    )


def read_matrices(text: str, path: Path) -> dict[str, np.ndarray]:
    """Return the matrices in a file of OpenCV's FileStorage by name, float64.

    Args:
        text: Its content.
        path: The file, for messages.

    Raises:
        ValueError: if a matrix has another number of finite values than rows times columns.
    """
    matrices = {}
    for name, rows, columns, data in _MATRIX.findall(text):
        shape = int(rows), int(columns)
        try:
            values = np.array([float(value) for value in data.split(",") if value.strip()])
        except ValueError as error:
            raise ValueError(f"{path}: {name}: {error}; expected numbers.") from None
        if len(values) != shape[0] * shape[1] or not np.isfinite(values).all():
            raise ValueError(
                f"{path}: {name} has {len(values)} values; expected {shape[0]}x{shape[1]} finite numbers."
            )
        matrices[name] = values.reshape(shape)
    return matrices


def _text(path: Path) -> str:
    """Return the text of a YAML file."""
    check_size(path, _MAX_BYTES, "a YAML file of OpenCV")
    return path.read_text(encoding="utf-8", errors="replace")


def _camera_names(text: str, path: Path) -> list[str]:
    """Return the names of the cameras."""
    match = _NAMES.search(text)
    lines = match[1].splitlines() if match else []
    names = [line.strip().lstrip("-").strip().strip("\"'") for line in lines]
    if not names or not all(0 < len(name) <= _MAX_NAME for name in names) or len(set(names)) < len(names):
        raise ValueError(f"{path}: names is no list of different names of cameras; expected one.")
    return names


def _intrinsics(name: str, matrices: Mapping[str, np.ndarray], subject: str) -> np.ndarray:
    """Return K of a camera without distortion, float64 [3, 3], pixel centers at +0.5."""
    distortion = matrices.get(f"dist_{name}", np.zeros((1, 0))).ravel().tolist()
    if len(distortion) > len(_DISTORTION):
        raise ValueError(
            f"{subject}: dist_{name} has {len(distortion)} values; expected at most {len(_DISTORTION)}."
        )
    check_distortion(dict(zip(_DISTORTION, distortion, strict=False)), subject)
    return _matrix(matrices, f"K_{name}", 9, subject).reshape(3, 3) + PIXEL_CENTER


def _viewmat(name: str, matrices: Mapping[str, np.ndarray], subject: str) -> np.ndarray:
    """Return the world-to-camera matrix of a camera, float64 [4, 4]."""
    viewmat = np.eye(4)
    if f"Rot_{name}" in matrices:
        viewmat[:3, :3] = _matrix(matrices, f"Rot_{name}", 9, subject).reshape(3, 3)
    else:
        viewmat[:3, :3] = rotation_of_vector(_matrix(matrices, f"R_{name}", 3, subject))
    viewmat[:3, 3] = _matrix(matrices, f"T_{name}", 3, subject)
    return viewmat


def _size(name: str, sizes: Mapping[str, float]) -> tuple[int, int] | None:
    """Return width and height that the file has for a camera, or None."""
    width, height = sizes.get(f"W_{name}", 0.0), sizes.get(f"H_{name}", 0.0)
    if 1 <= min(width, height) and max(width, height) <= MAX_SIDE:
        return round(width), round(height)
    return None


def _matrix(matrices: Mapping[str, np.ndarray], key: str, count: int, subject: str) -> np.ndarray:
    """Return the values of a matrix; raises ValueError if there is none of ``count`` values."""
    values = matrices.get(key, np.zeros(0)).ravel()
    if len(values) != count:
        raise ValueError(f"{subject}: {key} has {len(values)} values; expected {count}.")
    return values


def rotation_of_vector(vector: np.ndarray) -> np.ndarray:
    """Return the rotation [3, 3] of a Rodrigues vector [3]: along the axis, its length the angle, radians."""
    angle = math.hypot(*vector)
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
