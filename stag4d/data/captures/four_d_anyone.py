"""Read results of 4DAnyone: ``cameras.json`` and one video for each camera.

``camera_to_world`` has OpenCV axes, in meters in a world with y up, the person's root on the ground at 0. The
camera of the source video is not in the file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ...geometry import check_camera_model
from ...geometry.pose_json import describe
from .camera_values import check_json_distortion, viewmat_of_pose
from .capture import Capture, CaptureView, Vector, checked_view
from .mask_files import check_files, masks_of_views
from .source_files import (
    VIDEO_SUFFIXES,
    array_of,
    entries_of,
    frames_per_second,
    image_side,
    object_of,
    path_inside,
    read_document,
)

_logger = logging.getLogger(__name__)

_CAMERAS, _METADATA = "cameras.json", "metadata.json"
_UP: Vector = (0.0, 1.0, 0.0)
_BEGINNING = 1 << 16  # bytes, more than a camera has
_VIDEO_FOLDERS = ("videos/dense", "videos/sparse", "videos", ".")


def is_4danyone(folder: Path) -> bool:
    """Return whether a folder has a ``cameras.json`` with ``camera_to_world`` matrices."""
    path = folder / _CAMERAS
    if not path.exists() or (path.is_file() and _starts_list(path)):
        return False
    cameras = read_document(path).get("cameras")
    return isinstance(cameras, list) and any(
        isinstance(camera, Mapping) and "camera_to_world" in camera for camera in cameras
    )


def mentions_poses(folder: Path) -> bool:
    """Return whether the beginning of a folder's ``cameras.json`` has a ``camera_to_world``; a fast check."""
    path = folder / _CAMERAS
    if not path.is_file():  # opening a pipe would wait for ever
        return False
    with path.open("rb") as file:
        return b'"camera_to_world"' in file.read(_BEGINNING)


def _starts_list(path: Path) -> bool:
    """Return whether a file is a JSON list, as the ``cameras.json`` of 3D Gaussian splatting is."""
    with path.open("rb") as file:
        return file.read(64).lstrip().startswith(b"[")


def read_4danyone(folder: Path) -> Capture:
    """Read ``cameras.json`` and find the videos.

    Args:
        folder: The folder of the clip.

    Raises:
        FileNotFoundError: if a video is missing.
        ValueError: if the file is malformed or a camera is no pinhole.
    """
    path = folder / _CAMERAS
    document = read_document(path)
    check_camera_model(str(document.get("camera_model", "OPENCV"))[:40], str(path))
    cameras = [
        object_of(camera, f"{path}: cameras[{index}]")
        for index, camera in enumerate(entries_of(document, "cameras", str(path)))
    ]
    views = tuple(_view(camera, folder, f"{path}: cameras[{index}]") for index, camera in enumerate(cameras))
    names = [view.name for view in views]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two cameras have the same camera_id; expected different ones.")
    videos = [view.frames for view in views if isinstance(view.frames, Path)]
    _check_distinct(videos, names, path)
    check_files(videos, str(path), "video")
    metadata = folder / _METADATA
    return Capture(
        format=f"4DAnyone {_CAMERAS}",
        root=folder,
        views=masks_of_views(views, folder, str(path)),
        fps=frames_per_second(read_document(metadata), str(metadata)) if metadata.exists() else None,
        up=_UP,
        front=_front(document.get("front_camera_ids"), names, path),
    )


def _check_distinct(videos: Sequence[Path], names: Sequence[str], path: Path) -> None:
    """Raise ValueError if two cameras have the same video."""
    first: dict[Path, str] = {}
    for video, name in zip(videos, names, strict=True):
        other = first.setdefault(video, name)
        if other != name:
            raise ValueError(
                f"{path}: cameras {other} and {name} have the same video {video}; expected one for each."
            )


def _front(value: object, names: list[str], path: Path) -> int:
    """Return the index of the first camera in ``front_camera_ids``; 0 if there is none."""
    ids = value if isinstance(value, list) else [value]
    found = next((names.index(str(name)) for name in ids if str(name) in names), None)
    if found is None and value not in (None, []):
        _logger.warning(
            "%s: front_camera_ids is %s, of which no camera is; the front is camera %s.",
            path,
            describe(value),
            names[0],
        )
    return found or 0


def _view(camera: Mapping[str, Any], folder: Path, field: str) -> CaptureView:
    """Return one camera and its video."""
    name = camera.get("camera_id")
    if not isinstance(name, (int, str)) or len(str(name)) > 100:
        raise ValueError(f"{field}: camera_id must be a number or a short text, not {describe(name)}.")
    subject = f"{field} (camera {name})"
    check_json_distortion(camera, subject)
    c2w = array_of(camera.get("camera_to_world"), (4, 4), f"{field}: camera_to_world")
    return checked_view(
        name=str(name),
        frames=_video(camera, name, folder, field),
        masks=None,
        viewmats=[viewmat_of_pose(c2w, subject, "opencv")],
        Ks=[array_of(camera.get("K"), (3, 3), f"{field}: K")],
        size=(
            image_side(camera.get("image_width"), f"{field}: image_width"),
            image_side(camera.get("image_height"), f"{field}: image_height"),
        ),
        subject=field,
    )


def _video(camera: Mapping[str, Any], name: int | str, folder: Path, field: str) -> Path:
    """Return the video of a camera: the named one, in one of the usual folders."""
    value = camera.get("video")
    if isinstance(value, str):  # it may be absolute, on the machine that wrote the file
        value = value if not _is_absolute(value) else PureWindowsPath(value).name
    named = path_inside(folder, value if value is not None else _file_name(name), f"{field}: video")
    return next((path for path in _candidates(named, folder) if path.is_file()), named)


def _is_absolute(path: str) -> bool:
    """Return whether a path is absolute on some system."""
    return PurePosixPath(path).is_absolute() or bool(PureWindowsPath(path).anchor)


def _file_name(name: int | str) -> str:
    """Return the name of a camera's video without suffix."""
    return f"{name:02d}" if isinstance(name, int) else name


def _candidates(named: Path, folder: Path) -> Iterator[Path]:
    """Yield the paths where a video may be."""
    yield named
    for place in _VIDEO_FOLDERS:
        yield folder / place / named.name
        for suffix in VIDEO_SUFFIXES:
            yield folder / place / f"{named.name}{suffix}"
