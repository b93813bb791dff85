"""``stag4d render``: images of a scene file."""

from __future__ import annotations

import argparse
from typing import Any

from .. import pipeline
from ..data.view_layout import frame_file
from ..geometry import OrbitPose
from ..pipeline import RENDER_PASSES, RenderPass
from ..scene import load_scene
from .console import ConsoleMonitor
from .options import add_command, device, frame_numbers, image_size, output_folder, print_result


def add_render(commands: Any) -> None:
    """Add the command."""
    command = add_command(commands, "render", _render, "render views of a scene as RGBA images")
    command.add_argument("scene", help="scene.safetensors")
    command.add_argument("-o", "--out", required=True, help="folder for view{v}_frame{f}.png and views.json")
    command.add_argument(
        "--views",
        type=_view_angles,
        required=True,
        metavar="AZ,EL;AZ,EL",
        help="azimuth (0: input camera) and elevation (positive: above) of each view, degrees",
    )
    command.add_argument("--frames", default="all", help="'all' or frame numbers: 0,5,10 (default: all)")
    command.add_argument("--size", type=int, help="image size, pixels (default: that of the fit)")
    command.add_argument(
        "--passes",
        type=_passes,
        default=(),
        metavar="PASS,PASS",
        help=f"images to write beside the colors, view{{v}}_frame{{f}}_PASS.png: {', '.join(RENDER_PASSES)}",
    )


def _render(options: argparse.Namespace) -> int:
    """Render views of a scene as images."""
    out = output_folder(options.out)
    if frame_file(out, 0).exists():
        raise ValueError(
            f"{out}: is a view folder, whose views.json would be overwritten; choose another folder."
        )
    model = load_scene(options.scene)
    frames = frame_numbers(options.frames, model.info.num_frames)
    pose = model.info.input_pose
    poses = [
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=pose.radius, fovy_deg=pose.fovy_deg)
        for azimuth, elevation in options.views
    ]
    size = image_size(options.size, model.info.settings)
    with ConsoleMonitor() as monitor:
        pipeline.write_views_of(out, model.to(device()), poses, frames, size, monitor, options.passes)
    print_result({"folder": str(out), "views": len(poses), "frames": len(frames), "size": size})
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


def _passes(text: str) -> tuple[RenderPass, ...]:
    """Parse ``PASS,PASS``."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in RENDER_PASSES:
            raise argparse.ArgumentTypeError(
                f"{name!r} is not a pass; expected one or more of {', '.join(RENDER_PASSES)}, comma between"
            )
    return tuple(known for known in RENDER_PASSES if known in names)
