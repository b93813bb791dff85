"""Read the cameras of ReCamMaster's videos: ``camera_extrinsics.json``.

``frame{t}`` holds for each ``cam{NN}`` four rows in brackets, of a transposed matrix in centimeters. The
world is left-handed, so that only poses relative to one camera are rotations: they are camera-to-world with
OpenCV axes in the world of the first camera's first frame. Lenses are not in the file but in the name of a
parent folder, such as ``f24_aperture5``, in millimeters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...geometry.pose_json import describe
from ..image_folder import natural_key
from ..video_file import shown_size
from .camera_names import last_number
from .camera_values import intrinsics_matrix, viewmat_of_pose
from .capture import Capture, Vector, checked_view
from .mask_files import check_files, masks_of_views
from .source_files import object_of, read_document, relative_path

_NAME = "camera_extrinsics.json"
_PLACES = (_NAME, f"cameras/{_NAME}")
_SENSOR_MM = 23.76  # width, of the data set's cameras
_LENS = re.compile(r"f([0-9]{1,3})(?:_|$)", re.IGNORECASE)
_CENTIMETERS = 100.0  # in a meter
_NUMBER = r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,3})?"
_ROW = re.compile(r"\[([^\[\]]*)\]")
_UP: Vector = (0.0, -1.0, 0.0)  # of the first camera, whose y points down


def is_recammaster(folder: Path) -> bool:
    """Return whether a folder has ``camera_extrinsics.json``, itself or in ``cameras``."""
    return _file(folder) is not None


def read_recammaster(folder: Path) -> Capture:
    """Read the poses, relative to the first camera's first frame, and find ``videos/cam{NN}.mp4``.

    Args:
        folder: Folder of the scene, below one that is named after the lens.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the file is malformed, or the lens is not known.
    """
    path = _file(folder) or folder / _NAME
    poses = read_poses(read_document(path), str(path))
    videos = {name: folder / "videos" / f"{name}.mp4" for name in poses}
    check_files(list(videos.values()), str(path), "video")
    lens_mm = _lens_mm(folder)
    views = []
    for name, c2ws in poses.items():
        width, height = shown_size(videos[name])
        focal = width * lens_mm / _SENSOR_MM
        K = intrinsics_matrix(focal, focal, width / 2, height / 2)
        viewmats = [viewmat_of_pose(c2w, f"{path}: {name}", "opencv") for c2w in c2ws]
        views.append(
            checked_view(
                name=name,
                frames=videos[name],
                masks=None,
                viewmats=viewmats,
                Ks=[K] * len(viewmats),
                size=(width, height),
                subject=str(path),
            )
        )
    return Capture(
        format=f"ReCamMaster {_NAME}", root=folder, views=masks_of_views(views, folder, str(path)), up=_UP
    )


def read_poses(document: Mapping[str, Any], subject: str) -> dict[str, np.ndarray]:
    """Return the poses of each camera, camera-to-world with OpenCV axes, in meters.

    Args:
        document: Content of the file.
        subject: The file, for messages.

    Returns:
        Float64 [F, 4, 4] by camera, in natural order, in the world of the first camera's first frame.

    Raises:
        ValueError: if a matrix is malformed, or a camera is missing in a frame.
    """
    frames = sorted(
        (name for name in document if name.startswith("frame")), key=lambda name: last_number(name) or 0
    )
    if not frames:
        raise ValueError(f"{subject}: has no entries frame0, frame1, ...; expected one for each frame.")
    cameras = [object_of(document[frame], f"{subject}: {frame}") for frame in frames]
    found_names = {name for entries in cameras for name in entries}
    for name in found_names:
        relative_path(name, f"{subject}: the name of a camera", "the folder of videos")
    names = sorted(found_names, key=lambda name: natural_key(Path(name)))
    first = next((name for name in names if name in cameras[0]), None)
    if first is None:
        raise ValueError(f"{subject}: {frames[0]} has no cameras; expected at least one.")
    origin = np.linalg.inv(_matrix(cameras[0][first], f"{subject}: {frames[0]}: {first}"))
    poses = {}
    for name in names:
        found = [
            origin @ _matrix(entries[name], f"{subject}: {frame}: {name}")
            for frame, entries in zip(frames, cameras, strict=True)
            if name in entries
        ]
        if len(found) < len(frames):
            raise ValueError(
                f"{subject}: {name} has {len(found)} of {len(frames)} frames; expected all of them."
            )
        poses[name] = np.stack(found)
    return poses


def _file(folder: Path) -> Path | None:
    """Return the file of the poses, or None."""
    return next((folder / place for place in _PLACES if (folder / place).exists()), None)


def _lens_mm(folder: Path) -> float:
    """Return the focal length that a parent folder is named after, millimeters."""
    for part in reversed(folder.resolve().parts):
        match = _LENS.match(part)
        if match and int(match[1]) > 0:
            return float(match[1])
    raise ValueError(
        f"{folder}: the focal length is not in the file; expected a folder named f24, after its millimeters, "
        "that holds this one."
    )


def _matrix(value: object, field: str) -> np.ndarray:
    """Return the pose in a text of four rows, float64 [4, 4], with the axes and the unit of ours."""
    rows = _ROW.findall(value) if isinstance(value, str) and len(value) < 1000 else []
    numbers = [re.findall(_NUMBER, row) for row in rows]
    if [len(row) for row in numbers] != [4] * 4:
        raise ValueError(f"{field} must be four rows of four numbers in brackets, not {describe(value)}.")
    pose = np.array([[float(number) for number in row] for row in numbers]).T[:, [1, 2, 0, 3]]
    pose[:3, 1] *= -1
    pose[:3, 3] /= _CENTIMETERS
    if not np.isfinite(pose).all() or abs(np.linalg.det(pose)) < 1e-6:
        raise ValueError(f"{field} is {describe(value)}; expected a finite matrix that has an inverse.")
    return pose
