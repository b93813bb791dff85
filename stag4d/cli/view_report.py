"""``stag4d views``: what a source of views holds, whether its cameras fit, and images of it."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from ..data import write_views
from ..pipeline.rig_check import check_rig
from ..pipeline.view_report import describe_tracks, write_camera_diagram, write_view_sheet
from .console import ConsoleMonitor
from .options import add_command, output_folder, print_result, rounded
from .view_sources import add_source_options, read_source

_logger = logging.getLogger(__name__)


def add_view_report(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands, "views", _views, "read views from any source, check their cameras and show both in images"
    )
    add_source_options(command)
    command.add_argument(
        "-o",
        "--out",
        required=True,
        help="folder for sheet.png, the images of first, middle and last frame, and cameras.png, a diagram "
        "of the cameras around the object",
    )
    command.add_argument(
        "--write-views", action="store_true", help="also write the views as a view folder, OUT/views"
    )


def _views(options: argparse.Namespace) -> int:
    """Describe the views of a source, and write images of them and their cameras."""
    out = output_folder(options.out)
    with ConsoleMonitor() as monitor:
        views, order = read_source(options, monitor)
    given, better = check_rig(views, order)
    write_view_sheet(out / "sheet.png", views)
    try:
        write_camera_diagram(out / "cameras.png", views)
    except ValueError as error:
        _logger.warning("%s; cameras.png is not written.", error)
    if options.write_views:
        write_views(out / "views", views)
    print_result(
        {
            "frames": views.num_frames,
            "fps": rounded(views.fps),
            "views": describe_tracks(views),
            "explained": rounded(given.median) if len(given.shares) else None,
            "better": None if better is None else {"name": better.name, "explained": rounded(better.median)},
        }
    )
    return 0
