"""The ``stag4d`` command: progress on stderr, results on stdout, one clear line when something is wrong."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from . import __version__, pipeline
from .console import CommandParser, Interrupt, Progress, UsageError, join_negative_values
from .data import read_views
from .export import write_ply_sequence
from .geometry import OrbitPose
from .mini import toy_seed
from .optimization import OptimizationConfig, preset
from .scene import load_scene

_logger = logging.getLogger(__name__)

_USER_ERRORS = (ValueError, TypeError, OSError, RuntimeError, MemoryError)
_EXIT_BAD_INPUT, _EXIT_INTERRUPTED = 2, 130
_MAX_FPS = 1000.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words after ``stag4d``; the process's own when None.

    Returns:
        The exit status: 0 done, 2 bad input or an environment that does not allow it, 130 interrupted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(join_negative_values(words))
    except UsageError as error:
        return _refuse(str(error))
    try:
        return options.run(options)
    except _USER_ERRORS as error:
        return _refuse(f"stag4d {options.command}: {str(error) or 'out of memory'}")
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


def _fit(options: argparse.Namespace) -> int:
    """Fit a scene to a folder of views."""
    config = _config(options)
    out = _output_folder(options.out)
    checkpoint = out / "checkpoint.safetensors"
    views = read_views(options.views)
    if options.fps is not None:
        views = replace(views, fps=_fps(options.fps))
    with Progress(config.steps) as progress, Interrupt() as stop:
        common: dict[str, Any] = {
            "checkpoint": checkpoint,
            "resume": options.resume,
            "device": _device(),
            "on_report": progress,
            "should_stop": stop,
        }
        if options.hold_out_view is not None:
            model, report = pipeline.fit_without_view(views, options.hold_out_view, config, **common)
        else:
            model, report = pipeline.fit(views, config, **common)
    pipeline.write_fit(out, model, report, min(config.size, max(views.images.shape[1], 64)))
    is_done = report.steps == config.steps
    if is_done:
        checkpoint.unlink(missing_ok=True)
    _say(
        {
            "scene": str(out / "scene.safetensors"),
            "num_gaussians": report.num_gaussians,
            **_rounded(report.metrics),
        }
    )
    return 0 if is_done else _EXIT_INTERRUPTED


def _demo(options: argparse.Namespace) -> int:
    """Fit a toy object whose truth is known."""
    config = _config(options)
    out = _output_folder(options.out)
    with Progress(config.steps) as progress, Interrupt() as stop:
        report = pipeline.demo(out, config, toy_seed("test", 0), on_report=progress, should_stop=stop)
    _logger.info("look at %s and %s", out / "turntable.mp4", out / "unseen_views.png")
    _say({"scene": str(out / "scene.safetensors"), **_rounded(report.metrics)})
    return 0 if report.steps == config.steps else _EXIT_INTERRUPTED


def _render(options: argparse.Namespace) -> int:
    """Render views of a scene as pictures."""
    out = _output_folder(options.out)
    model = load_scene(options.scene)
    frames = _frames(options.frames, model.info.num_frames)
    pose = model.info.input_pose
    poses = [
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=pose.radius, fovy_deg=pose.fovy_deg)
        for azimuth, elevation in options.views
    ]
    size = _size(options.size, model.info.settings)
    pipeline.write_views_of(out, model.to(_device()), poses, frames, size)
    _say({"folder": str(out), "views": len(poses), "frames": len(frames), "size": size})
    return 0


def _export(options: argparse.Namespace) -> int:
    """Write a scene in a format that others can open."""
    path = Path(options.out)
    folder = _output_folder(path if options.format == "ply" else path.parent)
    model = load_scene(options.scene)
    if options.format == "ply":
        posed = (model.at(time[None])[0] for time in model.frame_times)
        with torch.no_grad():
            written = write_ply_sequence(folder, posed)
        _say({"folder": str(folder), "files": len(written)})
    else:
        pipeline.write_turntable(path, model.to(_device()), _size(options.size, model.info.settings))
        _say({"file": str(path)})
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    """Measure a scene against true pictures."""
    metrics = pipeline.evaluate(load_scene(options.scene).to(_device()), Path(options.truth))
    _say(_rounded(metrics))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = CommandParser(
        prog="stag4d", description="4D Gaussian scenes from a short video of one object (STAG4D, ECCV 2024)."
    )
    parser.add_argument("--version", action="version", version=f"stag4d {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = _command(
        commands, "demo", _demo, "fit a bundled toy object and compare with its truth; needs no files"
    )
    command.add_argument("-o", "--out", default="demo_out", help="folder to write (default: %(default)s)")
    _add_fit_options(command)

    command = _command(commands, "fit", _fit, "fit a scene to posed views of a clip")
    command.add_argument(
        "views", help="ViewSet folder: ref/{f}_rgba.png, zero123/{f}_rgba/{v}.png, optional views.json"
    )
    command.add_argument(
        "-o", "--out", required=True, help="folder for scene.safetensors, turntable.mp4 and report.json"
    )
    _add_fit_options(command)
    command.add_argument(
        "--fps", type=float, help="frames a second of the clip (default: what views.json says, else 8)"
    )
    command.add_argument(
        "--hold-out-view", type=int, metavar="K", help="leave posed view K out of the fit and measure on it"
    )
    command.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint of an interrupted fit in OUT"
    )

    command = _command(commands, "render", _render, "render a scene from any angle as RGBA pictures")
    command.add_argument("scene", help="scene.safetensors")
    command.add_argument("-o", "--out", required=True, help="folder for view{v}_frame{f}.png and views.json")
    command.add_argument(
        "--views", type=_view_angles, required=True, metavar="AZ,EL;AZ,EL",
        help="azimuth and elevation of each view, degrees; 0,0 is the input, positive elevation is above",
    )  # fmt: skip
    command.add_argument("--frames", default="all", help="'all' or frame numbers: 0,5,10 (default: all)")
    command.add_argument("--size", type=int, help="pixels (default: what the scene was fitted at)")

    command = _command(commands, "export", _export, "write a scene in a format that others can open")
    command.add_argument("scene", help="scene.safetensors")
    command.add_argument("-o", "--out", required=True, help="file to write; a folder for ply")
    command.add_argument(
        "--format",
        choices=("ply", "mp4"),
        required=True,
        help="ply: one 3DGS file per frame; mp4: a turntable",
    )
    command.add_argument("--size", type=int, help="pixels of the mp4 (default: what the scene was fitted at)")

    command = _command(
        commands, "evaluate", _evaluate, "measure a scene against true pictures; JSON on stdout"
    )
    command.add_argument("scene", help="scene.safetensors")
    command.add_argument("--truth", required=True, help="folder as `stag4d render` writes it")
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    """Add a command."""
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    parser.set_defaults(run=run)
    return parser


def _add_fit_options(command: argparse.ArgumentParser) -> None:
    """Add what steers a fit."""
    command.add_argument(
        "--preset", choices=("fast", "paper", "quality"),
        help="fast: first looks; quality: slower and better; paper: the published numbers, needs a guidance "
        "model (default: fast on a CPU, quality on CUDA)",
    )  # fmt: skip
    command.add_argument("--steps", type=int, help="optimisation steps (default: the preset's)")
    command.add_argument(
        "--size", type=int, help="render size, pixels (default: the preset's, at most the views')"
    )
    command.add_argument("--seed", type=int, default=0, help="of every random draw (default: %(default)s)")


def _config(options: argparse.Namespace) -> OptimizationConfig:
    """Return the configuration that the options ask for."""
    name = options.preset
    if name is None:
        name = "quality" if torch.cuda.is_available() else "fast"
    return preset(name, steps=options.steps, size=options.size, seed=options.seed)


def _device() -> torch.device:
    """Return the fastest device at hand."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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


def _size(asked: int | None, settings: Mapping[str, Any]) -> int:
    """Return the picture size that was asked for, else the fit's, pixels."""
    size = asked if asked is not None else int(settings.get("size", 512))
    if not 1 <= size <= 4096:
        raise ValueError(f"--size: {size} pixels; expected 1 to 4096.")
    return size


def _fps(asked: float) -> float:
    """Return the frame rate that was asked for after checking it."""
    if not 0 < asked <= _MAX_FPS:
        raise ValueError(f"--fps: {asked:g} frames a second; expected above 0, at most {_MAX_FPS:g}.")
    return asked


def _output_folder(text: str | Path) -> Path:
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


def _rounded(value: Any) -> Any:
    """Return JSON values with floats at four digits."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _say(result: dict[str, Any]) -> None:
    """Print a command's result as JSON on stdout."""
    sys.stdout.write(json.dumps(result) + "\n")


def _refuse(message: str) -> int:
    """Print what is wrong as one line on stderr; returns the exit status."""
    sys.stderr.write(" ".join(message.split()) + "\n")
    return _EXIT_BAD_INPUT
