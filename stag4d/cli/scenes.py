"""``stag4d render``, ``export`` and ``evaluate``: what is done with a scene file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from .. import pipeline
from ..export import write_ply_sequence
from ..geometry import OrbitPose
from ..scene import load_scene
from .options import add_command, device, output_folder, picture_size, rounded, say


def add_scenes(commands: Any) -> None:
    """Add the commands."""
    command = add_command(commands, "render", _render, "render a scene from any angle as RGBA pictures")
    command.add_argument("scene", help="scene.safetensors")
    command.add_argument("-o", "--out", required=True, help="folder for view{v}_frame{f}.png and views.json")
    command.add_argument(
        "--views", type=_view_angles, required=True, metavar="AZ,EL;AZ,EL",
        help="azimuth and elevation of each view, degrees; 0,0 is the input, positive elevation is above",
    )  # fmt: skip
    command.add_argument("--frames", default="all", help="'all' or frame numbers: 0,5,10 (default: all)")
    command.add_argument("--size", type=int, help="pixels (default: what the scene was fitted at)")

    command = add_command(commands, "export", _export, "write a scene in a format that others can open")
    command.add_argument("scene", help="scene.safetensors")
    command.add_argument("-o", "--out", required=True, help="file to write; a folder for ply")
    command.add_argument(
        "--format",
        choices=("ply", "mp4"),
        required=True,
        help="ply: one 3DGS file per frame; mp4: a turntable",
    )
    command.add_argument("--size", type=int, help="pixels of the mp4 (default: what the scene was fitted at)")

    command = add_command(
        commands, "evaluate", _evaluate, "measure a scene against true pictures; JSON on stdout"
    )
    command.add_argument("scene", help="scene.safetensors")
    command.add_argument("--truth", required=True, help="folder as `stag4d render` writes it")


def _render(options: argparse.Namespace) -> int:
    """Render views of a scene as pictures."""
    out = output_folder(options.out)
    model = load_scene(options.scene)
    frames = _frames(options.frames, model.info.num_frames)
    pose = model.info.input_pose
    poses = [
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=pose.radius, fovy_deg=pose.fovy_deg)
        for azimuth, elevation in options.views
    ]
    size = picture_size(options.size, model.info.settings)
    pipeline.write_views_of(out, model.to(device()), poses, frames, size)
    say({"folder": str(out), "views": len(poses), "frames": len(frames), "size": size})
    return 0


def _export(options: argparse.Namespace) -> int:
    """Write a scene in a format that others can open."""
    path = Path(options.out)
    folder = output_folder(path if options.format == "ply" else path.parent)
    model = load_scene(options.scene)
    if options.format == "ply":
        posed = (model.at(time[None])[0] for time in model.frame_times)
        with torch.no_grad():
            written = write_ply_sequence(folder, posed)
        say({"folder": str(folder), "files": len(written)})
    else:
        pipeline.write_turntable(path, model.to(device()), picture_size(options.size, model.info.settings))
        say({"file": str(path)})
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    """Measure a scene against true pictures."""
    metrics = pipeline.evaluate(load_scene(options.scene).to(device()), Path(options.truth))
    say(rounded(metrics))
    return 0


def _view_angles(text: str) -> list[tuple[float, float]]:
    """Parse ``AZ,EL;AZ,EL``."""
    pairs = []
    for part in text.split(";"):
        try:
            azimuth, elevation = (float(number) for number in part.split(","))
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not a view; expected AZIMUTH,ELEVATION in degrees, semicolons between views"
            ) from None
        pairs.append((azimuth, elevation))
    return pairs


def _frames(text: str, num_frames: int) -> list[int]:
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
