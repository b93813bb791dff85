"""``stag4d export``: a scene in a format that other programs open."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import pipeline
from ..export import EXPORT_FORMATS, ExportFormat, write_splat_sequence
from ..progress import Monitor, silent
from ..scene import GaussianModel4D, load_scene
from .console import ConsoleMonitor
from .options import add_command, device, frame_numbers, image_size, output_folder, print_result

_OPTIONS = ("frames", "precision", "size", "bullet_time", "spz_version")  # each applies to some formats only


def add_export(commands: Any) -> None:
    """Add the command."""
    command = add_command(commands, "export", _export, "write a scene in a format that other programs open")
    command.add_argument("scene", help="scene.safetensors")
    command.add_argument(
        "-o",
        "--out",
        required=True,
        help="file to write; for formats of one frame with another suffix, a folder with one file per frame",
    )
    command.add_argument(
        "--format",
        choices=tuple(_FORMATS),
        help="ply, spz: Gaussians of one frame, spz in a quarter of the bytes; 4dgs: the moving scene in one "
        "file; html: a web page that plays the scene; clip: the viewer's scene file (.s4d); splat: one frame "
        "in 32 bytes per Gaussian; glb: one frame as glTF with KHR_gaussian_splatting; mp4: a turntable "
        "(default: from the suffix)",
    )
    command.add_argument(
        "--frames",
        help="for ply, spz, splat, glb: 'all' or frame numbers: 0,5,10; one file holds one frame "
        "(default: all)",
    )
    command.add_argument(
        "--precision",
        choices=("full", "small"),
        help="for clip and html: small is quantized more coarsely, two thirds of the bytes (default: full)",
    )
    command.add_argument("--size", type=int, help="for mp4: image size, pixels (default: that of the fit)")
    command.add_argument(
        "--bullet-time",
        type=int,
        metavar="FRAME",
        help="for mp4: freeze the motion at this frame while the camera orbits once (default: a turntable)",
    )
    command.add_argument(
        "--spz-version",
        type=int,
        choices=(2, 3),
        help="for spz: 3 for ComfyUI, Spark from 0.1.9 and Niantic's library; 2 for readers from before July "
        "2025, such as Spark 0.1.8 and GaussianSplats3D, with rotations up to 12 degrees off (default: 3)",
    )


def _export(options: argparse.Namespace) -> int:
    """Write a scene in a format that other programs open."""
    path = Path(options.out)
    chosen = _format_of(path, options.format)
    given = {name: getattr(options, name) for name in _OPTIONS if getattr(options, name) is not None}
    for name in given:
        if not _applies(name, chosen):
            names = [other.name for other in _FORMATS.values() if _applies(name, other)]
            option = f"--{name.replace('_', '-')}"
            expected = " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
            raise ValueError(f"{option}: does not apply to {chosen.name}; expected {expected}.")
    is_folder = chosen.holds_one_frame and path.suffix.lower() != chosen.suffix
    output_folder(path if is_folder else path.parent)
    if not is_folder and path.is_dir():
        raise ValueError(f"{path}: is a folder; expected the name of a {chosen.name} file.")
    chosen.check_package()
    model = load_scene(options.scene)
    frames = frame_numbers(given.pop("frames", "all"), model.info.num_frames)
    with ConsoleMonitor() as monitor:
        if is_folder:
            written = write_splat_sequence(path, model, chosen.name, frames, monitor, **given)
        else:
            if chosen.holds_one_frame:
                given["frame_time"] = model.frame_times[_only(frames, path)].item()
            chosen.write(path, model, monitor=monitor, **given)
    print_result({"folder": str(path), "files": len(written)} if is_folder else {"file": str(path)})
    return 0


def _format_of(path: Path, name: str | None) -> ExportFormat:
    """Return the format with a name, or the one of a path's suffix; raises ValueError if they disagree."""
    named = next((entry for entry in _FORMATS.values() if entry.suffix == path.suffix.lower()), None)
    if name is None:
        if named is None:
            raise ValueError(f"{path}: unknown suffix {path.suffix!r}; give --format {'|'.join(_FORMATS)}.")
        return named
    if named is not None and named.name != name:
        raise ValueError(f"{path}: the suffix is that of {named.name}, --format is {name}; make them agree.")
    return _FORMATS[name]


def _applies(option: str, chosen: ExportFormat) -> bool:
    """Return whether an option applies to a format."""
    return chosen.holds_one_frame if option == "frames" else option in chosen.options


def _only(frames: list[int], path: Path) -> int:
    """Return the only frame of a list; raises ValueError if it has more, as the file holds one."""
    if len(frames) > 1:
        raise ValueError(
            f"{path}: one file holds one frame, not {len(frames)}; give one number with --frames, or a "
            "folder and --format."
        )
    return frames[0]


def _write_mp4(
    path: Path,
    model: GaussianModel4D,
    *,
    monitor: Monitor = silent,
    size: int | None = None,
    bullet_time: int | None = None,
) -> None:
    """Write a turntable, or bullet time at a frame; raises ValueError if the scene has no such frame."""
    pixels, model = image_size(size, model.info.settings), model.to(device())
    if bullet_time is None:
        pipeline.write_turntable(path, model, pixels, monitor=monitor)
        return
    if not 0 <= bullet_time < model.info.num_frames:
        raise ValueError(
            f"--bullet-time: {bullet_time}; the scene has frames 0 to {model.info.num_frames - 1}."
        )
    pipeline.write_bullet_time(path, model, pixels, bullet_time, monitor)


_FORMATS = EXPORT_FORMATS | {
    "mp4": ExportFormat(
        name="mp4",
        suffix=".mp4",
        description="a turntable or bullet-time video",
        write=_write_mp4,
        options=("size", "bullet_time"),
    )
}
