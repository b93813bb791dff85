"""Shared parts of the commands: options and their checks, input video, results on stdout."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ..data import VideoClip, read_object_frames, read_video, subsampled_fps
from ..matting import CroppedVideo, crop_video
from ..startup import discard_unwritten_output
from ..temporary import temporary_file
from ..types import InputVideo
from .input_alpha import add_alpha_options, input_alphas, masks_path

_MAX_FPS = 1000.0


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    """Add a command."""
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    parser.set_defaults(run=run)
    return parser


def add_video_options(command: argparse.ArgumentParser, generated_views: str = "") -> None:
    """Add the input video and its options; for ``generated_views`` see ``add_alpha_options``."""
    command.add_argument(
        "video",
        metavar="VIDEO",
        help="video file, animation or folder of images, with alpha, masks or a plain background; see "
        "--mattes",
    )
    command.add_argument(
        "--frames",
        type=int,
        default=32,
        help="number of frames to keep, evenly spaced; 0: all (default: %(default)s)",
    )
    command.add_argument(
        "--margin",
        type=float,
        default=0.1,
        help="free space on each side of the object's motion, as a share of the frame (default: %(default)s)",
    )
    command.add_argument(
        "--crop",
        choices=("fixed", "follow"),
        default="fixed",
        help="fixed: one square around the object's whole motion; follow: a square that moves with the "
        "object, so that one that crosses the image is not small, and moves in the scene as in the video "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--start",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="time of the first frame; images of a folder are 1/8 second apart (default: %(default)s)",
    )
    command.add_argument(
        "--end", type=float, metavar="SECONDS", help="time from which on frames are left out (default: none)"
    )
    add_alpha_options(command, generated_views)
    command.add_argument("--fps", type=float, help="frames per second (default: the video's; 8 for a folder)")
    command.add_argument(
        "--input-elevation",
        type=float,
        default=0.0,
        metavar="DEGREES",
        help="elevation of the input camera, positive above the object (default: %(default)s)",
    )


def add_rig_option(command: argparse.ArgumentParser) -> None:
    """Add the camera rig of a multi-view model."""
    command.add_argument(
        "--rig",
        choices=("v1.1", "v1.2"),
        help="camera rig of the multi-view model (default: from the folder's files; else v1.1 is assumed, "
        "with a message)",
    )


def read_input(
    options: argparse.Namespace, size: int, check: Callable[[int], None] | None = None
) -> InputVideo:
    """Read and prepare the input video.

    Args:
        options: See ``add_video_options``.
        size: Size of the prepared frames, pixels.
        check: Called with the number of prepared frames.
    """
    video, cropped = read_object_frames(
        lambda num_read: _read_frames(options, num_read),
        lambda video: _cropped(options, video, size),
        options.frames,
        subject=options.video,
    )
    if check is not None:
        check(len(cropped.frames))
    fps = subsampled_fps(video.fps, cropped.num_candidates, len(cropped.frames))
    fps = frame_rate(fps if options.fps is None else options.fps)
    return InputVideo(cropped.images, cropped.alphas, fps, options.input_elevation, cropped.crop_offsets)


def _read_frames(options: argparse.Namespace, num_read: int) -> VideoClip:
    """Read ``num_read`` evenly spaced frames."""
    return read_video(
        options.video, num_read, start=options.start, end=options.end, masks=masks_path(options)
    )


def _cropped(options: argparse.Namespace, video: VideoClip, size: int) -> CroppedVideo:
    """Crop ``--frames`` of the frames that show the object."""
    return crop_video(
        video.frames[..., :3],
        input_alphas(options, video),
        num_frames=options.frames,
        size=size,
        margin=options.margin,
        follow=options.crop == "follow",
        names=video.names,
    )


def device() -> torch.device:
    """Return the fastest available device."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def image_size(requested: int | None, settings: Mapping[str, Any]) -> int:
    """Return the requested image size, or that of the fit if it is None, pixels."""
    size = requested if requested is not None else int(settings.get("size", 512))
    if not 1 <= size <= 4096:
        raise ValueError(f"--size: {size} pixels; expected 1 to 4096.")
    return size


def frame_rate(requested: float) -> float:
    """Return the requested frame rate, frames per second, after checking its range."""
    if not 0 < requested <= _MAX_FPS:
        raise ValueError(f"--fps: {requested:g} frames per second; expected above 0, at most {_MAX_FPS:g}.")
    return requested


def frame_numbers(text: str, num_frames: int) -> list[int]:
    """Return the frame numbers of ``all`` or ``0,5,10``."""
    if text == "all":
        return list(range(num_frames))
    try:
        frames = [int(number) for number in text.split(",")]
    except ValueError:
        raise ValueError(f"--frames: {text!r}; expected 'all' or numbers separated by commas.") from None
    for frame in frames:
        if not 0 <= frame < num_frames:
            raise ValueError(f"--frames: {frame}; the scene has frames 0 to {num_frames - 1}.")
    return sorted(set(frames))


def output_folder(text: str | Path) -> Path:
    """Return the path of an output folder after a trial write; the folder is not created yet."""
    folder = Path(text)
    if ".." in folder.parts:
        raise ValueError(f"{folder}: an output path must not contain '..'; name it without.")
    try:
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        with temporary_file(existing) as probe:
            probe.write_bytes(os.urandom(4096))
    except OSError as error:
        raise OSError(
            f"{folder}: cannot write there ({error.strerror}); choose a writable folder with free space."
        ) from error
    return folder


def refuse_own_input(source: Path, out: Path) -> None:
    """Raise ValueError if the output would overwrite the input frames."""
    if source.is_dir() and out.resolve() in (source.resolve(), source.resolve().parent):
        raise ValueError(
            f"{out}: contains the input frames, which the output would overwrite; choose another folder."
        )


def rounded(value: Any) -> Any:
    """Return JSON values with floats at four digits."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def print_result(result: dict[str, Any]) -> None:
    """Print a command's result as JSON on stdout, if somebody reads it.

    Raises:
        OSError: if stdout is a file that cannot be written.
    """
    print_text(json.dumps(result) + "\n")


def print_text(text: str) -> None:
    """Print text on stdout, if somebody reads it.

    Raises:
        OSError: if stdout is a file that cannot be written.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_unwritten_output()
    except OSError as error:
        discard_unwritten_output()
        raise OSError(f"stdout: cannot be written ({error.strerror}); free some space.") from error
