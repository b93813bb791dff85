"""Options of the views that a scene is fitted to, and how they are read: view folders, captures, rigs."""

from __future__ import annotations

import argparse
import logging
import re
from dataclasses import replace
from pathlib import Path

import torch

from ..data import (
    SPLITS,
    UPS,
    CaptureOptions,
    VideoClip,
    check_equal_fps,
    find_capture,
    parse_center,
    read_capture,
    read_video,
    read_views,
)
from ..data.image_folder import IMAGE_SUFFIXES
from ..data.video_listing import is_video_file
from ..geometry import CAMERA_RIGS, VIEW_ORDERS, ViewOrder
from ..matting import object_alphas
from ..pipeline.view_images import ObjectImages, preset_indices, split_views
from ..pipeline.view_joining import shortest_length
from ..pipeline.view_sources import ReferenceVideo, ViewSettings, views_of_rig
from ..progress import Monitor
from ..view_set import ViewSet
from .options import frame_rate

_logger = logging.getLogger(__name__)

_OF_CAPTURES = {  # options with their defaults
    "first_frame": 0,
    "frame_step": 1,
    "max_frames": 0,
    "longer_side": None,
    "center": "auto",
    "up": "auto",
    "front": None,
    "split": "train",
}
_REFERENCE_NAMES = ("process_input", "reference", "input")  # in the name of a video beside the views'


def add_source_options(command: argparse.ArgumentParser) -> None:
    """Add the positional source of views and its options."""
    command.add_argument(
        "views",
        metavar="SOURCE",
        help="view folder (ref/{f}_rgba.png, zero123/{f}_rgba/{v}.png, optional views.json); capture: "
        "nerfstudio, D-NeRF, frameset, 4DAnyone, COLMAP, LLFF, HyperNeRF, Panoptic Sports, EasyMocap, "
        "ReCamMaster; with --rig: a folder of one video or image folder per view, or of images",
    )
    command.add_argument("--fps", type=float, help="frames per second (default: that of the source, else 8)")
    command.add_argument(
        "--rig",
        choices=tuple(CAMERA_RIGS),
        help="camera rig of a source without cameras, see docs/views.md",
    )
    command.add_argument(
        "--order",
        choices=VIEW_ORDERS,
        help="with --rig: order of the images of one folder (default: that of the rig)",
    )
    command.add_argument(
        "--views-from",
        metavar="PATH",
        help="with --rig: folder of the views; SOURCE is then the input video",
    )
    command.add_argument(
        "--reference",
        default="auto",
        metavar="VIEW|none",
        help="view that is the input video's own camera, by name or index; none: no view is (default: as the "
        "source or the rig has it)",
    )
    command.add_argument(
        "--input-elevation",
        type=float,
        default=0.0,
        metavar="DEGREES",
        help="with --rig: elevation of the input camera, positive above the object (default: %(default)s)",
    )
    command.add_argument("--first-frame", type=int, default=0, help="of a capture (default: %(default)s)")
    command.add_argument(
        "--frame-step", type=int, default=1, help="every how many frames of a capture (default: %(default)s)"
    )
    command.add_argument(
        "--max-frames", type=int, default=0, help="of a capture; 0: all (default: %(default)s)"
    )
    command.add_argument(
        "--longer-side", type=int, help="size of a capture's images before they are cropped, pixels"
    )
    command.add_argument(
        "--center", default="auto", metavar="auto|file|X,Y,Z", help="point of a capture that is the origin"
    )
    command.add_argument("--up", choices=UPS, default="auto", help="up direction of a capture")
    command.add_argument("--front", metavar="VIEW", help="view of a capture that gets azimuth 0")
    command.add_argument("--split", choices=SPLITS, default="train", help="images of a capture")


def read_source(options: argparse.Namespace, monitor: Monitor) -> tuple[ViewSet, ViewOrder | None]:
    """Return the views and, if they are images of one folder in some order, that order.

    Args:
        options: See ``add_source_options``.
        monitor: Called after each image that is read.

    Raises:
        FileNotFoundError: if there is no such source, or an image is missing.
        ValueError: if options do not fit together, or the source is refused.
    """
    order = None
    if options.rig is not None:
        views, order = _read_rig(options)
    else:
        if options.views_from is not None or options.order is not None:
            raise ValueError("--views-from, --order: without --rig; expected the rig of the views.")
        capture = find_capture(options.views, options.split)
        if capture is None:
            _refuse_capture_options(options, f"view folder {options.views}")
            views = read_views(options.views)
            if options.reference == "none":
                views = replace(views, reference=None)
            elif options.reference != "auto":
                raise ValueError(
                    f"--reference: {options.reference!r} of a view folder; expected none, or no --reference."
                )
        else:
            views = read_capture(capture, _capture_options(options), monitor)
    if options.fps is not None:
        views = replace(views, fps=frame_rate(options.fps))
    return views, order


def _capture_options(options: argparse.Namespace) -> CaptureOptions:
    """Return the options of a capture."""
    return CaptureOptions(
        longer_side=options.longer_side,
        first_frame=options.first_frame,
        frame_step=options.frame_step,
        max_frames=options.max_frames,
        fps=options.fps,
        up=options.up,
        center=parse_center(options.center, "--center"),
        front=options.front,
        reference=options.reference,
    )


def _refuse_capture_options(options: argparse.Namespace, source: str) -> None:
    """Raise ValueError if an option of captures is given for another source."""
    for name, default in _OF_CAPTURES.items():
        if getattr(options, name) != default:
            raise ValueError(
                f"--{name.replace('_', '-')}: given for {source}; expected no option of captures, of which "
                "there is none."
            )


def _read_rig(options: argparse.Namespace) -> tuple[ViewSet, ViewOrder | None]:
    """Return the views of a rig and, if they are images of one folder, their order."""
    _refuse_capture_options(options, f"views of --rig {options.rig}")
    if options.reference not in ("auto", "none"):
        raise ValueError(f"--reference: {options.reference!r} with --rig; expected none, or no --reference.")
    folder = Path(options.views_from or options.views)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; expected one of the views of --rig {options.rig}."
        )
    videos = sorted((path for path in folder.iterdir() if _is_video(path)), key=_natural_order)
    input_video = Path(options.views) if options.views_from is not None else _input_video(videos)
    videos = [path for path in videos if path != input_video]
    order = None
    if videos:
        clips = [read_video(path) for path in videos]
        count = shortest_length(
            {path.name: len(clip.frames) for path, clip in zip(videos, clips, strict=True)}
        )
        clips = [replace(clip, frames=clip.frames[:count]) for clip in clips]
        check_equal_fps([clip.fps for clip in clips], str(folder))
        rig, _ = preset_indices(options.rig, len(clips), 1)
        batches = [_object_images(clip, path) for clip, path in zip(clips, videos, strict=True)]
    else:
        clips = [read_video(folder)]
        rig, indices = preset_indices(options.rig, len(clips[0].frames), None, options.order)
        batches, order = split_views(_object_images(clips[0], folder), indices), options.order or rig.order
    video = ReferenceVideo(
        frames=None if input_video is None else _input_frames(input_video, len(batches[0].images)),
        elevation_deg=options.input_elevation,
        use="not a view" if options.reference == "none" else "from the rig",
    )
    settings = ViewSettings(fps=clips[0].fps, match_fill=True)
    return views_of_rig(batches, rig, video, settings), order


def _input_video(videos: list[Path]) -> Path | None:
    """Return the one of some videos that is the input video by its name, if there is one."""
    found = [path for path in videos if any(name in path.stem for name in _REFERENCE_NAMES)]
    if len(found) != 1:
        return None
    _logger.info("%s: taken as the input video.", found[0])
    return found[0]


def _input_frames(path: Path, count: int) -> ObjectImages:
    """Return the first frames of the input video, as many as the views have."""
    clip = read_video(path)
    if len(clip.frames) < count:
        raise ValueError(f"{path}: {len(clip.frames)} frames for views of {count}; expected as many.")
    return _object_images(replace(clip, frames=clip.frames[:count]), path)


def _is_video(path: Path) -> bool:
    """Return whether a path is a video file or a folder of images."""
    if not path.is_dir():
        return is_video_file(path)
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in path.iterdir())


def _natural_order(path: Path) -> list[str | int]:
    """Return a key that sorts numbers in names by value: v2 before v10."""
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if part.isdecimal() else part for part in parts]


def _object_images(clip: VideoClip, path: Path) -> ObjectImages:
    """Return colors and alphas of a video, uint8: its own alpha, or computed from its plain background."""
    alphas = object_alphas(clip.frames, subject=str(path))  # [F, H, W]
    colors = clip.frames[..., :3].clone(memory_format=torch.contiguous_format)  # not a view of all frames
    return ObjectImages(colors, (255 * alphas).round().to(torch.uint8))
