"""Read and write ViewSet folders, and hold out a view of a set.

The layout (``view_layout``) is that of the official STAG4D code, so its data sets load unchanged. Without
``views.json`` the views have the poses of the Zero123++ v1.1 rig around the input camera. Sets that do not
fit this layout are written in that of ``track_folder``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..atomic import replacing
from ..geometry import OrbitPose, v11_rig_around
from ..geometry.offsets import offsets_from_json
from ..geometry.pose_json import (
    POSE_NAMES,
    check_names,
    check_version,
    finite_number,
    pose_from_json,
    pose_to_json,
    poses_from_json,
    read_json_object,
)
from ..matting import alpha_from_border
from ..types import DEFAULT_FPS, MAX_FPS
from ..view_set import ViewSet, ViewTrack
from .png import write_png
from .resizing import resize_with_alpha
from .track_folder import VERSION as TRACKS_VERSION
from .track_folder import check_tracks, read_tracks, remove_tracks_beyond, write_tracks
from .view_layout import (
    UNFINISHED,
    find_frames,
    find_views,
    frame_file,
    poses_file,
    remove_beyond,
    view_file,
)
from .view_sheet import SheetTile, read_view

_logger = logging.getLogger(__name__)

_VERSION = 1
MULTIVIEW_RECORD = "multiview"  # field of views.json: key, flicker and rig of the call that finished it
_NAMES = ("version", "fps", "input", "views", MULTIVIEW_RECORD, "offsets")
# Up to here alpha counts as transparent: the official pipeline writes 255 inside and 1, not 0, outside.
_TRANSPARENT_ALPHA = 4 / 255


def check_views(folder: str | Path) -> None:
    """Raise the errors of ``read_views`` about missing files and ``views.json``; no image is read.

    Args:
        folder: The folder that holds ``ref``.

    Raises:
        FileNotFoundError: if the folder, a frame or a view is missing.
        ValueError: if ``views.json`` is refused.
    """
    root = Path(folder)
    document = _track_document(root)
    if document is not None:
        check_tracks(root, document)
        return
    num_frames = len(find_frames(root))
    _read_poses(root, num_frames, len(find_views(root, num_frames)[0]))


def read_views(folder: str | Path, size: int | None = None) -> ViewSet:
    """Read a ViewSet folder.

    Args:
        folder: The folder that holds ``ref``.
        size: Width and height of the input frames and the views, pixels; None keeps the size of the files, as
            a folder of version 2 does.

    Returns:
        The set, float32. Files without alpha get it from their plain background (``alpha_from_border``),
        which is logged once.

    Raises:
        FileNotFoundError: if the folder, a frame or a view is missing.
        ValueError: if a file is damaged, not square or of another size than the first of its kind, an image
            has no object or no background, or ``views.json`` is malformed, of a newer version, has an unknown
            entry, or another number of views or offsets than the files.
    """
    root = Path(folder)
    if size is not None and size < 1:
        raise ValueError(f"views: size {size}; expected at least one pixel, or None for the files' own size.")
    document = _track_document(root)
    if document is not None:
        return read_tracks(root, document)
    frame_files = find_frames(root)
    files_of_frames = find_views(root, len(frame_files))
    view_files = [path for files in files_of_frames for path in files]  # [F * V]
    num_views = len(files_of_frames[0])
    input_pose, view_poses, fps, offsets = _read_poses(root, len(frame_files), num_views)

    images, alphas, num_without = _read_group(frame_files, size)  # [F, H, W, 3], [F, H, W]
    view_images, view_alphas, views_without = _read_group(view_files, size)  # [F * V, h, w, (3)]
    if num_without + views_without:
        _logger.warning(
            "%s: %d of %d files have no alpha; it was computed from their plain background.",
            root,
            num_without + views_without,
            len(frame_files) + len(view_files),
        )
    lead = (len(frame_files), num_views)
    return ViewSet.from_orbit(
        images=images,
        alphas=alphas,
        view_images=view_images.reshape(*lead, *view_images.shape[1:]),  # [F, V, h, w, 3]
        view_alphas=view_alphas.reshape(*lead, *view_alphas.shape[1:]),  # [F, V, h, w]
        input_pose=input_pose,
        view_poses=view_poses,
        fps=fps,
        offsets=offsets,
    )


def write_views(folder: str | Path, views: ViewSet) -> None:
    """Write a ViewSet folder, as 8-bit RGBA with straight alpha.

    A set that is already there is replaced: its surplus frames and views are removed, and so are checkpoints
    of an unfinished one. Files that are no part of a set stay.

    Args:
        folder: The folder; made when it does not exist.
        views: What to write.

    Raises:
        RuntimeError: if a file cannot be written.
    """
    if not _is_square_orbit(views):
        write_tracks(Path(folder), views)
        remove_beyond(Path(folder), 0, 0)
        _remove_unfinished(Path(folder))
        return
    write_view_poses(folder, views.input_pose, views.view_poses, views.fps, offsets=views.offsets)
    for frame in range(views.num_frames):
        write_view_frame(
            folder, frame, views.reference_track.at(frame), [track.at(frame) for track in views.views]
        )
    remove_beyond(Path(folder), views.num_frames, views.num_views)
    remove_tracks_beyond(Path(folder), 0, 0)
    _remove_unfinished(Path(folder))


def write_view_poses(
    folder: str | Path,
    input_pose: OrbitPose,
    view_poses: Sequence[OrbitPose],
    fps: float,
    extra_fields: Mapping[str, Any] | None = None,
    *,
    offsets: Tensor | None = None,
) -> None:
    """Write the ``views.json`` of a set whose frames are written one by one.

    Args:
        folder: Folder of the set.
        input_pose: Camera of the input frames.
        view_poses: Cameras of the V views.
        fps: Frames a second.
        extra_fields: More JSON fields: ``multiview``, which ``read_views`` ignores, and no other.
        offsets: [F, 3] translation of the object at each frame; None if it was not moved.

    Raises:
        RuntimeError: if the file cannot be written.
        ValueError: if a field is unknown.
    """
    check_names(extra_fields, _NAMES, "views.json")
    document = {
        "version": _VERSION,
        "fps": fps,
        "input": pose_to_json(input_pose),
        "views": [pose_to_json(pose) for pose in view_poses],
        **({} if offsets is None else {"offsets": offsets.tolist()}),
        **(extra_fields or {}),
    }
    with replacing(poses_file(Path(folder))) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_view_frame(
    folder: str | Path,
    frame: int,
    reference: tuple[Tensor, Tensor],
    views: Iterable[tuple[Tensor, Tensor]],
) -> None:
    """Write one frame of a set: the input frame and its views.

    Args:
        folder: Folder of the set.
        frame: Number of the frame, from 0.
        reference: The input frame [H, W, 3] and its alpha [H, W].
        views: The V views [h, w, 3] of the frame and their alphas [h, w].

    Raises:
        RuntimeError: if a file cannot be written.
    """
    root = Path(folder)
    for view, (image, alpha) in enumerate(views):
        _write_image(view_file(root, frame, view), image, alpha)
    # The input frame comes last: if writing is interrupted, its views have no input frame, which find_views
    # reports, and the partial set is not taken for a complete one.
    _write_image(frame_file(root, frame), *reference)


def hold_out_view(views: ViewSet, index: int) -> tuple[ViewSet, ViewTrack]:
    """Split a view off a set, to evaluate on it a scene that was optimized on the others.

    Args:
        views: The set.
        index: Index of the view, from 0; the input video is not counted.

    Returns:
        The set without the view, and the view.

    Raises:
        ValueError: if there is no such view, or none would be left.
    """
    if not 0 <= index < views.num_views:
        numbers = f"0 to {views.num_views - 1}" if views.num_views else "no number, since there are no views"
        raise ValueError(f"held-out view: {index} of {views.num_views} views; expected {numbers}.")
    others = [view for view in range(views.num_views) if view != index]
    return views.chosen(others), views.views[index]


def _remove_unfinished(root: Path) -> None:
    """Remove checkpoints of a set that was not finished."""
    for left in root.glob(UNFINISHED):
        left.unlink()


def _is_square_orbit(views: ViewSet) -> bool:
    """Return whether a set is an input video and square views of one size at orbit poses, without weights."""
    has_one_size = len({tuple(track.images.shape[1:3]) for track in views.views}) <= 1
    return (
        views.reference == 0
        and has_one_size
        and all(
            track.pose is not None
            and track.weights is None
            and track.images.shape[1] == track.images.shape[2]
            for track in views.tracks
        )
    )


def _track_document(root: Path) -> dict[str, Any] | None:
    """Return the content of a folder's ``views.json`` if it is of version 2."""
    path = poses_file(root)
    if not path.exists():
        return None
    document = read_json_object(path)
    return document if document.get("version") == TRACKS_VERSION else None


def _read_poses(
    root: Path, num_frames: int, num_views: int
) -> tuple[OrbitPose, tuple[OrbitPose, ...], float, Tensor | None]:
    """Return the input pose, V view poses, fps and offsets [F, 3] from ``views.json``, or their defaults."""
    path = poses_file(root)
    document: dict[str, Any] = read_json_object(path) if path.exists() else {"version": _VERSION}
    check_version(document, TRACKS_VERSION, path.name)
    check_names(document, _NAMES, path.name)
    check_names(document.get("input"), POSE_NAMES, f"{path.name}: input")
    origin = {"azimuth": 0.0, "elevation": 0.0}
    input_pose = pose_from_json(document.get("input", {}), f"{path.name}: input", origin)
    fps = finite_number(document.get("fps", DEFAULT_FPS), f"{path.name}: fps")
    if not 0 < fps < MAX_FPS:
        raise ValueError(f"{path.name}: fps is {fps:g}; expected a positive number, less than {MAX_FPS:g}.")
    offsets = None
    if "offsets" in document:
        offsets = offsets_from_json(document["offsets"], num_frames, f"{path.name}: offsets")
    if "views" in document:
        view_poses = poses_from_json(document["views"], f"{path.name}: views")
        for index, pose in enumerate(document["views"]):
            check_names(pose, POSE_NAMES, f"{path.name}: views[{index}]")
        if len(view_poses) != num_views:
            raise ValueError(
                f"{path.name}: views has {len(view_poses)} poses; expected {num_views}, the views of "
                f"each frame in {root}."
            )
        return input_pose, view_poses, fps, offsets
    rig = v11_rig_around(input_pose)
    if num_views not in (0, len(rig)):
        raise ValueError(
            f"views: {root} has {num_views} views a frame and no poses for them; expected {len(rig)}, "
            f"or a {path.name} with their poses."
        )
    return input_pose, rig[:num_views], fps, offsets


def _read_group(files: Sequence[Path | SheetTile], size: int | None) -> tuple[Tensor, Tensor, int]:
    """Read N files of one size into [N, S, S, 3] and [N, S, S]; return them and how many have no alpha."""
    if not files:
        side = size or 1
        return torch.zeros(0, side, side, 3), torch.zeros(0, side, side), 0
    num_without = 0
    for index, path in enumerate(files):
        colors, alpha, lacks_alpha = _read_square(path)
        num_without += lacks_alpha
        if index == 0:
            native = len(alpha)
            side = size or native
            images = np.empty((len(files), side, side, 3), np.float32)
            alphas = np.empty((len(files), side, side), np.float32)
        if len(alpha) != native:
            raise ValueError(f"{path}: {len(alpha)} pixels on a side; expected {native}, as {files[0]} has.")
        if side != native:
            colors, alpha = resize_with_alpha(colors, alpha, side)
        images[index], alphas[index] = colors, alpha
    return torch.from_numpy(images), torch.from_numpy(alphas), num_without


def _read_square(path: Path | SheetTile) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return the colors and checked alpha of a square image, and whether its file has no alpha."""
    colors, alpha = read_view(path)
    height, width = colors.shape[:2]
    if height != width:
        raise ValueError(
            f"{path}: {width}x{height} pixels; expected a square image, as `python -m stag4d multiview` "
            "writes."
        )
    lacks_alpha = alpha is None
    if alpha is None:
        try:
            alpha = alpha_from_border(torch.from_numpy(colors)).numpy()
        except ValueError as error:
            raise ValueError(
                f"{path}: no alpha and no {error} Save the images with alpha, as `python -m stag4d "
                "multiview` does, or remove their background with other tools."
            ) from error
    alpha = _clear_official_background(alpha)
    if alpha.max() <= _TRANSPARENT_ALPHA:
        raise ValueError(f"{path}: no object, alpha is at most {alpha.max():.2g}; expected an opaque object.")
    if alpha.min() >= 1 - _TRANSPARENT_ALPHA:
        raise ValueError(
            f"{path}: no background, alpha is at least {alpha.min():.2g}; expected transparent pixels around "
            "the object."
        )
    return colors, alpha, lacks_alpha


def _clear_official_background(alpha: np.ndarray) -> np.ndarray:
    """Set the background of an alpha channel of 1 and one tiny constant to 0; return any other unchanged."""
    low = alpha.min()
    if 0 < low <= _TRANSPARENT_ALPHA and np.all((alpha == low) | (alpha == 1)):
        return (alpha > 0.5).astype(np.float32)
    return alpha


def _write_image(path: Path, image: Tensor, alpha: Tensor) -> None:
    """Write one image of the set as PNG."""
    write_png(path, image.detach().cpu().float().numpy(), alpha.detach().cpu().float().numpy())
