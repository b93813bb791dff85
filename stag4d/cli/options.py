"""What commands share: their place in the parser, checked options, results on stdout."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

EXIT_INTERRUPTED = 130
_MAX_FPS = 1000.0


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    """Add a command."""
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    parser.set_defaults(run=run)
    return parser


def add_clip_options(command: argparse.ArgumentParser) -> None:
    """Add a clip and what is said of it."""
    command.add_argument(
        "clip", help="video file, or folder of pictures; alpha, or one plain background color"
    )
    command.add_argument("--frames", type=int, default=32, help="0 keeps all (default: %(default)s)")
    command.add_argument(
        "--margin", type=float, default=0.1,
        help="free space on each side of the object's motion, a share of the frame (default: %(default)s)",
    )  # fmt: skip
    command.add_argument("--fps", type=float, help="frames a second (default: the video's; 8 for a folder)")
    command.add_argument(
        "--input-elevation", type=float, default=0.0, metavar="DEGREES",
        help="of the camera that took the clip, positive when it looks down (default: %(default)s)",
    )  # fmt: skip


def device() -> torch.device:
    """Return the fastest device at hand."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def picture_size(asked: int | None, settings: Mapping[str, Any]) -> int:
    """Return the picture size that was asked for, else the fit's, pixels."""
    size = asked if asked is not None else int(settings.get("size", 512))
    if not 1 <= size <= 4096:
        raise ValueError(f"--size: {size} pixels; expected 1 to 4096.")
    return size


def frame_rate(asked: float) -> float:
    """Return the frame rate that was asked for after checking it."""
    if not 0 < asked <= _MAX_FPS:
        raise ValueError(f"--fps: {asked:g} frames a second; expected above 0, at most {_MAX_FPS:g}.")
    return asked


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
    """Return an output folder after trying to write there; it is made when there is something to put in."""
    folder = Path(text)
    if ".." in folder.parts:
        raise ValueError(f"{folder}: an output path must not contain '..'; name it without.")
    try:
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".stag4d") as probe:
            probe.write(os.urandom(4096))
            probe.flush()
    except OSError as error:
        raise OSError(
            f"{folder}: cannot write there ({error.strerror}); name a folder with room that you may write."
        ) from error
    return folder


def refuse_own_input(clip: Path, out: Path) -> None:
    """Raise ValueError if the result would overwrite the frames that it is made of."""
    if clip.is_dir() and out.resolve() in (clip.resolve(), clip.resolve().parent):
        raise ValueError(
            f"{out}: holds the clip, whose frames the views' own would replace; name another folder."
        )


def rounded(value: Any) -> Any:
    """Return JSON values with floats at four digits."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def say(result: dict[str, Any]) -> None:
    """Print a command's result as JSON on stdout."""
    sys.stdout.write(json.dumps(result) + "\n")
