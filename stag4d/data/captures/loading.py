"""Read the images of a capture as tracks of views in our world."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from torch import Tensor

from ...geometry import crop_intrinsics, intrinsics_of_size, resize_intrinsics
from ...progress import Monitor, silent
from ...types import DEFAULT_FPS, Cameras
from ...view_set import ViewSet, ViewTrack
from ..frame_times import check_equal_fps, is_even
from .alignment import align_tracks
from .capture import Capture, CaptureView
from .options import CaptureOptions
from .track_images import TrackImages, ViewSource, open_view, read_track

_logger = logging.getLogger(__name__)


def read_capture(
    capture: Capture, options: CaptureOptions | None = None, monitor: Monitor = silent
) -> ViewSet:
    """Read the images of a capture.

    Alpha is that of the files, or of mask files, or computed from a plain background. Each view is cropped to
    the object's box over all frames, with a margin of background.

    Args:
        capture: From ``find_capture``.
        options: Frames, size, and how the source's world maps to ours.
        monitor: Called after each image that is read, of the stage ``read``.

    Returns:
        The set, uint8, with a track for each of the capture's views.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is damaged, has no alpha, or is of a size that does not belong to its camera,
            videos have different frame rates, or the cameras cannot be aligned.
    """
    options = options or CaptureOptions()
    _logger.info("%s: %s, %d cameras.", capture.root, capture.format, len(capture.views))
    sources = [open_view(capture, view, monitor) for view in capture.views]
    fps = _rate(capture, sources, options)
    kept = options.frames_of(_shared_length(capture, sources))
    _warn_of_uneven(capture, kept)
    total, done = len(sources) * len(kept), count(1)
    tracks = [
        read_track(source, kept, view.name, options.longer_side, lambda: monitor("read", next(done), total))
        for view, source in zip(capture.views, sources, strict=True)
    ]
    _warn_of_computed(capture, tracks)
    cameras = [
        _whole_cameras(view, track, kept, f"{capture.root}: camera {view.name}")
        for view, track in zip(capture.views, tracks, strict=True)
    ]
    viewmats = align_tracks(capture, tracks, cameras, options)
    views = [
        ViewTrack(
            images=track.images,
            alphas=track.alphas,
            cameras=_cropped_cameras(track, whole, aligned),
            name=view.name,
        )
        for view, track, whole, aligned in zip(capture.views, tracks, cameras, viewmats, strict=True)
    ]
    return ViewSet(tuple(views), options.reference_of(capture), fps)


def _shared_length(capture: Capture, sources: Sequence[ViewSource]) -> int:
    """Return the number of frames that all views have."""
    counts = []
    for view, source in zip(capture.views, sources, strict=True):
        num_frames, num_poses = len(source.frames.times), len(view.viewmats)
        if num_poses not in (1, num_frames):
            raise ValueError(
                f"{capture.root}: camera {view.name}: {num_poses} poses for {num_frames} frames; "
                "expected one for each frame, or one for all."
            )
        counts.append(num_frames)
    shortest = min(counts)
    if max(counts) > shortest:
        _logger.warning(
            "%s: videos of %d to %d frames; all are cut to %d, the length of %s.",
            capture.root,
            shortest,
            max(counts),
            shortest,
            capture.views[counts.index(shortest)].name,
        )
    return shortest


def _rate(capture: Capture, sources: Sequence[ViewSource], options: CaptureOptions) -> float:
    """Return the frame rate: of the source, of its videos, of the options, or 8, divided by the step.

    Raises:
        ValueError: if the rates of videos differ: their frames of one index are not of one time.
    """
    rates = {
        view.name: source.frames.fps
        for view, source in zip(capture.views, sources, strict=True)
        if isinstance(view.frames, Path)
    }
    if rates:
        slowest, fastest = (choose(rates, key=lambda name: rates[name]) for choose in (min, max))
        subject = f"{capture.root}: videos of cameras {slowest} and {fastest}"
        check_equal_fps([rates[slowest], rates[fastest]], subject)
    rate = capture.fps or next(iter(rates.values()), None)
    return (rate or options.fps or DEFAULT_FPS) / options.frame_step


def _warn_of_uneven(capture: Capture, kept: range) -> None:
    """Log that the frames that are kept are not evenly spaced in time, as they will be in the set."""
    times = [capture.frame_ids[frame] for frame in kept] if capture.frame_ids else []
    if len(times) > 2 and not is_even(times):
        _logger.warning(
            "%s: the times of the frames, %g to %g, are not evenly spaced; they are taken as if they were.",
            capture.root,
            times[0],
            times[-1],
        )


def _warn_of_computed(capture: Capture, tracks: Sequence[TrackImages]) -> None:
    """Log how many alphas were computed from a plain background."""
    num_computed = sum(track.num_computed for track in tracks)
    if num_computed:
        _logger.warning(
            "%s: %d of %d images have no alpha and no mask; it was computed from their plain background.",
            capture.root,
            num_computed,
            sum(len(track.images) for track in tracks),
        )


def _whole_cameras(view: CaptureView, track: TrackImages, kept: range, subject: str) -> Cameras:
    """Return a view's cameras in the source's world for its whole images, for the frames that are kept."""
    frames = list(kept) if len(view.viewmats) > 1 else [0]
    Ks = intrinsics_of_size(view.Ks[frames], (view.width, view.height), track.size, subject)
    return Cameras(view.viewmats[frames], Ks, *track.size)


def _cropped_cameras(track: TrackImages, whole: Cameras, viewmats: Tensor) -> Cameras:
    """Return a view's cameras in our world for its cropped and resized images, float32."""
    height, width = track.alphas.shape[1:]
    box = track.box
    Ks = crop_intrinsics(whole.Ks, box.left, box.top)
    Ks = resize_intrinsics(Ks, (box.right - box.left, box.bottom - box.top), (width, height))
    return Cameras(viewmats.float(), Ks.float(), width, height, whole.projection)
