"""Folders of view sets with any cameras: ``views.json`` of version 2, and ``{view}/{frame}.png``.

``view_folder`` reads and writes both versions; version 1 holds an input video and square views at orbit
poses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import torch
from torch import Tensor

from ..atomic import replacing
from ..geometry import check_intrinsics, check_projection, check_viewmats, orbit_viewmats
from ..geometry.offsets import offsets_from_json
from ..geometry.pose_json import (
    POSE_NAMES,
    check_names,
    describe,
    finite_number,
    pose_from_json,
    pose_to_json,
    whole_number,
)
from ..types import MAX_FRAMES, Cameras
from ..view_set import ViewSet, ViewTrack
from .image_files import read_pixels
from .png import write_png

VERSION = 2
_NAMES = ("version", "fps", "num_frames", "reference", "views", "offsets")
_VIEW_NAMES = ("folder", "name", "projection", "width", "height", "viewmat", "K", "pose", "weights")
_MAX_VIEWS = 4096
_SAME_CAMERA = 1e-3  # largest difference of a pose's matrix from the viewmat


def write_tracks(root: Path, views: ViewSet) -> None:
    """Write a view set, as 8-bit RGBA with straight alpha; ``views.json`` comes last.

    Args:
        root: The folder; made when it does not exist.
        views: What to write.

    Raises:
        RuntimeError: if a file cannot be written.
    """
    entries = []
    for index, track in enumerate(views.tracks):
        folder = f"view{index:03d}"
        for frame in range(views.num_frames):
            image, alpha = (part.detach().cpu().float().numpy() for part in track.at(frame))
            write_png(_image_file(root, folder, frame), image, alpha)
        entries.append({"folder": folder, **_track_to_json(track)})
    document = {
        "version": VERSION,
        "fps": views.fps,
        "num_frames": views.num_frames,
        "reference": views.reference,
        "views": entries,
        **({} if views.offsets is None else {"offsets": views.offsets.tolist()}),
    }
    with replacing(root / "views.json") as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    remove_tracks_beyond(root, views.num_frames, len(views.tracks))


class _StoredTrack(NamedTuple):
    """One view of a document: its image files, its camera, and other arguments of ``ViewTrack``."""

    files: list[Path]
    cameras: Cameras
    options: dict[str, Any]


def check_tracks(root: Path, document: Mapping[str, Any]) -> None:
    """Raise the errors of ``read_tracks`` about missing files and the document; no image is read."""
    _stored_tracks(root, document)


def read_tracks(root: Path, document: Mapping[str, Any]) -> ViewSet:
    """Read a folder of version 2.

    Args:
        root: The folder.
        document: Content of its ``views.json``.

    Returns:
        The set; images are uint8, as the files.

    Raises:
        FileNotFoundError: if an image is missing.
        ValueError: if an entry of the document or an image is refused.
    """
    tracks, reference, fps, offsets = _stored_tracks(root, document)
    read = []
    for track in tracks:
        images, alphas = _read_images(track.files, track.cameras)
        read.append(ViewTrack(images=images, alphas=alphas, cameras=track.cameras, **track.options))
    return ViewSet(tuple(read), reference, fps, offsets)


def _stored_tracks(
    root: Path, document: Mapping[str, Any]
) -> tuple[list[_StoredTrack], int | None, float, Tensor | None]:
    """Return tracks, reference, fps and offsets [F, 3] of a checked document; all files exist."""
    name = "views.json"
    check_names(document, _NAMES, name)
    num_frames = whole_number(document.get("num_frames"), f"{name}: num_frames")
    if not 1 <= num_frames <= MAX_FRAMES:
        raise ValueError(f"{name}: num_frames is {num_frames}; expected 1 to {MAX_FRAMES}.")
    entries = document.get("views")
    if not _is_list(entries) or not 1 <= len(entries) <= _MAX_VIEWS:
        raise ValueError(f"{name}: views is {describe(entries)}; expected a list of 1 to {_MAX_VIEWS} views.")
    reference = document.get("reference")
    if reference is not None:
        reference = whole_number(reference, f"{name}: reference")
        if reference >= len(entries):
            raise ValueError(f"{name}: reference {reference} of {len(entries)} views; expected one of them.")
    fps = finite_number(document.get("fps"), f"{name}: fps")
    offsets = None
    if "offsets" in document:
        offsets = offsets_from_json(document["offsets"], num_frames, f"{name}: offsets")
    tracks = []
    for index, entry in enumerate(entries):
        folder, cameras, options = _track_from_json(entry, num_frames, f"{name}: views[{index}]")
        files = [_image_file(root, folder, frame) for frame in range(num_frames)]
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"views: {file} is missing; expected {num_frames} frames.")
        tracks.append(_StoredTrack(files, cameras, options))
    return tracks, reference, fps, offsets


def _image_file(root: Path, folder: str, frame: int) -> Path:
    """Return the path of a view's image."""
    return root / folder / f"{frame:05d}.png"


def remove_tracks_beyond(root: Path, num_frames: int, num_views: int) -> None:
    """Remove images of views and frames beyond a set, left by an older, larger one."""
    for folder in root.glob("view[0-9][0-9][0-9]*"):
        if not folder.name[4:].isdecimal():
            continue
        num_kept = num_frames if int(folder.name[4:]) < num_views else 0
        for file in folder.glob("[0-9][0-9][0-9][0-9][0-9].png"):
            if int(file.stem) >= num_kept:
                file.unlink()
        if num_kept == 0 and not any(folder.iterdir()):
            folder.rmdir()


def _track_to_json(track: ViewTrack) -> dict[str, Any]:
    """Return name, camera and weights of a track."""
    cameras = track.cameras
    viewmats, Ks = cameras.viewmats.tolist(), cameras.Ks.tolist()
    is_fixed = len(cameras) == 1
    return {
        "name": track.name,
        "projection": cameras.projection,
        "width": cameras.width,
        "height": cameras.height,
        "viewmat": viewmats[0] if is_fixed else viewmats,
        "K": Ks[0] if is_fixed else Ks,
        **({} if track.pose is None else {"pose": pose_to_json(track.pose)}),
        **({} if track.weights is None else {"weights": track.weights.tolist()}),
    }


def _track_from_json(value: object, num_frames: int, field: str) -> tuple[str, Cameras, dict[str, Any]]:
    """Return folder, cameras, and name, pose and weights of a track."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{field} must be an object with a folder and a camera, not {describe(value)}.")
    check_names(value, _VIEW_NAMES, field)
    folder, name = value.get("folder"), value.get("name", "view")
    if not isinstance(folder, str) or not folder or Path(folder).name != folder or folder in (".", ".."):
        raise ValueError(f"{field}.folder must be the name of a folder, not {describe(folder)}.")
    if not isinstance(name, str):
        raise ValueError(f"{field}.name must be a text, not {describe(name)}.")
    projection = value.get("projection", "pinhole")
    if not isinstance(projection, str):
        raise ValueError(f"{field}.projection must be a text, not {describe(projection)}.")
    width, height = (whole_number(value.get(side), f"{field}.{side}") for side in ("width", "height"))
    viewmats = _matrices(value.get("viewmat"), 4, num_frames, f"{field}.viewmat")
    Ks = _matrices(value.get("K"), 3, num_frames, f"{field}.K")
    if len(viewmats) != len(Ks):
        raise ValueError(f"{field}: {len(viewmats)} viewmats and {len(Ks)} Ks; expected equal numbers.")
    names = [field if len(viewmats) == 1 else f"{field}, frame {frame}" for frame in range(len(viewmats))]
    viewmats, Ks = check_viewmats(viewmats, names), check_intrinsics(Ks, names)
    cameras = Cameras(viewmats, Ks, width, height, check_projection(projection, field))
    options: dict[str, Any] = {"name": name}
    if "pose" in value:
        check_names(value["pose"], POSE_NAMES, f"{field}.pose")
        options["pose"] = pose = pose_from_json(value["pose"], f"{field}.pose")
        if not torch.allclose(orbit_viewmats([pose]).expand_as(viewmats), viewmats, atol=_SAME_CAMERA):
            raise ValueError(f"{field}: pose and viewmat are different cameras; expected the same.")
    if "weights" in value:
        if not _is_list(value["weights"]) or len(value["weights"]) != num_frames:
            raise ValueError(f"{field}.weights must be a list of {num_frames} numbers.")
        numbers = [finite_number(number, f"{field}.weights") for number in value["weights"]]
        options["weights"] = torch.tensor(numbers)
    return folder, cameras, options


def _matrices(value: object, side: int, num_frames: int, field: str) -> Tensor:
    """Return one matrix [1, side, side], or one of each frame [F, side, side]."""
    expected = f"a {side}x{side} matrix, or {num_frames} of them"
    if not _is_list(value) or not value:
        raise ValueError(f"{field} must be {expected}, not {describe(value)}.")
    is_fixed = _is_list(value[0]) and bool(value[0]) and not _is_list(value[0][0])
    matrices = [value] if is_fixed else value
    if len(matrices) not in (1, num_frames):
        raise ValueError(f"{field} has {len(matrices)} matrices; expected {expected}.")
    for matrix in matrices:
        if (
            not _is_list(matrix)
            or len(matrix) != side
            or any(not _is_list(row) or len(row) != side for row in matrix)
        ):
            raise ValueError(f"{field} has {describe(matrix)}; expected {expected}.")
    rows = [[[finite_number(number, field) for number in row] for row in matrix] for matrix in matrices]
    return torch.tensor(rows, dtype=torch.float32)


def _read_images(files: Sequence[Path], cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Read F files of the cameras' size into uint8 [F, H, W, 3] and [F, H, W]."""
    pixels = np.empty((len(files), cameras.height, cameras.width, 4), np.uint8)
    for frame, file in enumerate(files):
        values = read_pixels(file)  # [H, W, D]
        if values.shape != pixels.shape[1:] or values.dtype != np.uint8:
            raise ValueError(
                f"{file}: {values.shape[1]}x{values.shape[0]} pixels with {values.shape[2]} channels; "
                f"expected {cameras.width}x{cameras.height} 8-bit RGBA, as views.json declares."
            )
        pixels[frame] = values
    rgba = torch.from_numpy(pixels)
    return rgba[..., :3], rgba[..., 3]


def _is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether a JSON value is an array."""
    return isinstance(value, list)
