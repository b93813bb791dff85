"""Joined videos and view sets, the cameras of a set, and images that are cut out of sheets."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..data import check_equal_fps
from ..types import Cameras
from ..view_set import ViewSet, ViewTrack

_logger = logging.getLogger(__name__)


def shortest_length(counts: Mapping[str, int]) -> int:
    """Return the number of frames of the shortest of some videos, and log which ones are longer.

    Args:
        counts: Number of frames by the name of the video.
    """
    shortest = min(counts.values())
    longer = [f"{name} ({count})" for name, count in counts.items() if count > shortest]
    if longer:
        _logger.warning("views: %s cut to the %d frames of the shortest video.", ", ".join(longer), shortest)
    return shortest


def join_views(first: ViewSet, second: ViewSet, weight: float = 1.0) -> ViewSet:
    """Return the views of two sets of the same frames.

    Args:
        first: A set; its reference is that of the result.
        second: Views to add. If both have a reference, that of this set is left out: it is the same video.
        weight: Factor on the weights of the added views in the losses.

    Raises:
        ValueError: if numbers of frames, frame rates or offsets differ, or the weight is negative.
    """
    if first.num_frames != second.num_frames:
        raise ValueError(
            f"views: sets of {first.num_frames} and {second.num_frames} frames; expected the same frames."
        )
    check_equal_fps([first.fps, second.fps], "views")
    _check_same_offsets(first.offsets, second.offsets)
    added = second.views if first.reference is not None else second.tracks
    names = {track.name for track in first.tracks}
    tracks = [*first.tracks]
    for track in added:
        if weight != 1 and track is not _reference_of(second):
            track = track.weighted(weight)
        tracks.append(replace(track, name=_unused_name(track.name, names)))
        names.add(tracks[-1].name)
    reference = first.reference
    if reference is None and second.reference is not None:
        reference = len(first.tracks) + second.reference
    return replace(first, tracks=tuple(tracks), reference=reference)


def set_cameras(views: ViewSet, frame: int | None, *, with_reference: bool = True) -> list[Cameras]:
    """Return the cameras of the images of a set.

    Args:
        views: The set.
        frame: Index of the frame; None for all, frame by frame.
        with_reference: Whether the reference is included; it is at its place among the tracks.

    Returns:
        Batches of one camera each: one per track, or per frame and track.

    Raises:
        ValueError: if there is no such frame, or no other track than the reference.
    """
    tracks = views.tracks if with_reference else views.views
    if not tracks:
        raise ValueError("views: a set of the input video only; expected other views.")
    if frame is not None and not 0 <= frame < views.num_frames:
        raise ValueError(
            f"frame: {frame} of {views.num_frames} frames; expected 0 to {views.num_frames - 1}."
        )
    frames = range(views.num_frames) if frame is None else [frame]
    return [track.camera(index) for index in frames for track in tracks]


def split_sheets(sheets: Tensor, rows: int, columns: int) -> Tensor:
    """Return the images of sheets, row by row, all of the first sheet first.

    Args:
        sheets: [F, H, W, C] images or [F, H, W] masks, each with ``rows`` times ``columns`` images.
        rows: Rows of images in a sheet.
        columns: Columns of images in a sheet.

    Returns:
        [F rows columns, H / rows, W / columns, C] or [F rows columns, H / rows, W / columns].

    Raises:
        ValueError: if the sheets cannot be divided.
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"grid: {rows} rows and {columns} columns; expected at least one of each.")
    height, width = sheets.shape[1:3]
    if height % rows or width % columns:
        raise ValueError(
            f"grid: sheets of {width}x{height} pixels for {columns} columns and {rows} rows; expected "
            f"multiples of {columns} and {rows}."
        )
    rest = sheets.shape[3:]
    tiles = sheets.reshape(len(sheets), rows, height // rows, columns, width // columns, *rest)
    return tiles.transpose(2, 3).reshape(-1, height // rows, width // columns, *rest)


def _reference_of(views: ViewSet) -> ViewTrack | None:
    return None if views.reference is None else views.reference_track


def _unused_name(name: str, names: set[str]) -> str:
    """Return a name that no view has yet, by a number at its end."""
    if name not in names:
        return name
    return next(new for i in range(1, len(names) + 2) if (new := f"{name} ({i + 1})") not in names)


def _check_same_offsets(first: Tensor | None, second: Tensor | None) -> None:
    """Raise ValueError unless both sets follow the object alike."""
    if first is None and second is None:
        return
    if first is None or second is None or not torch.allclose(first.cpu(), second.cpu(), atol=1e-4):
        raise ValueError("views: the offsets of the sets differ; expected the same, or none in both.")
