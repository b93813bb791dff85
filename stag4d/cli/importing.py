"""``stag4d import``: a scene from the files of other programs, or from exported files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import pipeline
from ..scene import GaussianModel4D, save_scene
from .console import ConsoleMonitor
from .options import add_command, frame_rate, output_folder, print_result


def add_import(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands, "import", _import, "read a scene from the files of another program, or from exported ones"
    )
    command.add_argument(
        "source",
        help="folder of the official STAG4D code (model.ply and deformation.pth); folder of numbered PLY or "
        "SPZ files, one per frame; or a .ply, .spz, .s4d or .4dgs file",
    )
    command.add_argument("-o", "--out", required=True, help="scene file to write (.safetensors)")
    command.add_argument("--fps", type=float, help="frames per second (default: the file's, or 8)")
    command.add_argument(
        "--frames",
        type=int,
        help="for official results: number of frames that they were trained with, `size` in their "
        "configuration (default: 30)",
    )


def _import(options: argparse.Namespace) -> int:
    """Read a scene in another format and write it as a scene file."""
    path = Path(options.out)
    if path.suffix.lower() != ".safetensors":
        raise ValueError(f"{path}: the suffix is {path.suffix!r}; expected .safetensors.")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; expected the name of a scene file.")
    output_folder(path.parent)
    fps = None if options.fps is None else frame_rate(options.fps)
    with ConsoleMonitor() as monitor:
        model = pipeline.import_scene(options.source, fps=fps, num_frames=options.frames, monitor=monitor)
        save_scene(path, model)
    print_result(
        {
            "file": str(path),
            "frames": model.info.num_frames,
            "fps": model.info.fps,
            "gaussians": _num_gaussians(model),
        }
    )
    return 0


def _num_gaussians(model: GaussianModel4D) -> int | dict[str, int]:
    """Return the number of Gaussians, or the smallest and the largest one of unrelated frames."""
    if model.frames is None or model.frames.counts is None:
        return len(model.gaussians)
    return {"min": min(model.frames.counts), "max": max(model.frames.counts)}
