"""``stag4d export``: a scene in a format that other programs open."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from .. import pipeline
from ..export import (
    encode_s4d,
    write_4dgs,
    write_html,
    write_ply,
    write_s4d,
    write_splat_sequence,
    write_spz,
)
from ..scene import GaussianModel4D, load_scene
from .console import ConsoleMonitor
from .options import add_command, device, frame_numbers, image_size, output_folder, say

_SUFFIXES = {"ply": ".ply", "spz": ".spz", "clip": ".s4d", "4dgs": ".4dgs", "html": ".html", "mp4": ".mp4"}
_APPLIES_TO = {
    "frames": ("ply", "spz"),
    "precision": ("clip", "html"),
    "size": ("mp4",),
    "bullet_time": ("mp4",),
}


def add_export(commands: Any) -> None:
    """Add the command."""
    command = add_command(commands, "export", _export, "write a scene in a format that others can open")
    command.add_argument("scene", help="scene.safetensors")
    command.add_argument(
        "-o", "--out", required=True,
        help="file to write; of ply and spz a folder with a file a frame where the name has another suffix",
    )  # fmt: skip
    command.add_argument(
        "--format",
        choices=tuple(_SUFFIXES),
        help="ply, spz: splats of one frame, spz a quarter of the size; 4dgs: moving splats in one file; "
        "html: a page that plays the scene; clip: what the page plays (.s4d); mp4: a turntable "
        "(default: what the suffix says)",
    )
    command.add_argument(
        "--frames", help="of ply and spz: 'all' or frame numbers: 0,5,10 (default: all; a file holds one)"
    )
    command.add_argument(
        "--precision",
        choices=("full", "small"),
        help="of clip and html: small takes two thirds of the bytes and rounds more (default: full)",
    )
    command.add_argument("--size", type=int, help="pixels of the mp4 (default: what the scene was fitted at)")
    command.add_argument(
        "--bullet-time",
        type=int,
        metavar="FRAME",
        help="of mp4: no turntable, but the clip, which stops at this frame while the camera turns once",
    )


def _export(options: argparse.Namespace) -> int:
    """Write a scene in a format that others can open."""
    path = Path(options.out)
    file_format = _format_of(path, options.format)
    for name, formats in _APPLIES_TO.items():
        if getattr(options, name) is not None and file_format not in formats:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option}: means nothing to {file_format}; expected {' or '.join(formats)}.")
    is_folder = file_format in ("ply", "spz") and path.suffix.lower() != _SUFFIXES[file_format]
    output_folder(path if is_folder else path.parent)
    if not is_folder and path.is_dir():
        raise ValueError(f"{path}: is a folder; expected the name of a {file_format} file.")
    model = load_scene(options.scene)
    if is_folder:
        frames = _frames(model, options)
        written = write_splat_sequence(path, model, file_format, frames)
        say({"folder": str(path), "files": len(written)})
    else:
        _WRITERS[file_format](path, model, options)
        say({"file": str(path)})
    return 0


def _format_of(path: Path, asked: str | None) -> str:
    """Return the format that was asked for, else the one that a path's suffix names."""
    named = next((name for name, suffix in _SUFFIXES.items() if suffix == path.suffix.lower()), None)
    if asked is None and named is None:
        raise ValueError(f"{path}: no suffix that names a format; give --format {'|'.join(_SUFFIXES)}.")
    if asked is not None and named not in (None, asked):
        raise ValueError(f"{path}: its suffix names {named}, --format {asked}; make them agree.")
    return asked or str(named)


def _frames(model: GaussianModel4D, options: argparse.Namespace) -> list[int]:
    """Return the frames that were asked for."""
    return frame_numbers("all" if options.frames is None else options.frames, model.info.num_frames)


@torch.no_grad()
def _write_splats(path: Path, model: GaussianModel4D, options: argparse.Namespace) -> None:
    """Write one frame as one file; raises ValueError if more were asked for."""
    frames = _frames(model, options)
    if len(frames) > 1:
        raise ValueError(
            f"{path}: one file holds one frame, not {len(frames)}; give --frames and one number, or name a "
            "folder and --format."
        )
    write = write_ply if path.suffix.lower() == _SUFFIXES["ply"] else write_spz
    write(path, model.at(model.frame_times[frames])[0])


def _write_4dgs(path: Path, model: GaussianModel4D, options: argparse.Namespace) -> None:
    """Write moving splats."""
    write_4dgs(path, model)


def _write_clip(path: Path, model: GaussianModel4D, options: argparse.Namespace) -> None:
    """Write the viewer's clip."""
    write_s4d(path, model, precision=options.precision or "full")


def _write_html(path: Path, model: GaussianModel4D, options: argparse.Namespace) -> None:
    """Write a page, which has the file's name as its title."""
    write_html(path, encode_s4d(model, precision=options.precision or "full"), path.stem)


def _write_mp4(path: Path, model: GaussianModel4D, options: argparse.Namespace) -> None:
    """Write a turntable or bullet time; raises ValueError if the scene has no such frame."""
    size, stop = image_size(options.size, model.info.settings), options.bullet_time
    if stop is None:
        with ConsoleMonitor() as monitor:
            pipeline.write_turntable(path, model.to(device()), size, monitor=monitor)
        return
    if not 0 <= stop < model.info.num_frames:
        raise ValueError(f"--bullet-time: {stop}; the scene has frames 0 to {model.info.num_frames - 1}.")
    with ConsoleMonitor() as monitor:
        pipeline.write_bullet_time(path, model.to(device()), size, stop, monitor)


_WRITERS = {
    "ply": _write_splats,
    "spz": _write_splats,
    "clip": _write_clip,
    "4dgs": _write_4dgs,
    "html": _write_html,
    "mp4": _write_mp4,
}
