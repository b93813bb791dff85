"""``stag4d evaluate``: metrics of a scene, or of images, against ground-truth images."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from .. import pipeline
from ..progress import Monitor
from ..scene import load_scene
from .console import ConsoleMonitor
from .options import add_command, device, output_folder, print_result, rounded

_logger = logging.getLogger(__name__)


def add_evaluate(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands, "evaluate", _evaluate, "compare a scene with ground-truth images; metrics as JSON on stdout"
    )
    command.add_argument("scene", nargs="?", help="scene.safetensors")
    command.add_argument(
        "--truth",
        required=True,
        metavar="FOLDER",
        help="folder as `stag4d render` writes it; with --protocol consistent4d, folder with eval_0/0.png, "
        "... to eval_3",
    )
    command.add_argument(
        "--protocol",
        choices=pipeline.PROTOCOLS,
        help="consistent4d: four views at azimuth -75, 15, 105 and 195 from the input camera, on white, "
        "measured at 512 x 512 pixels (default: the cameras of the folder's views.json)",
    )
    command.add_argument(
        "--images",
        metavar="FOLDER",
        help="with --protocol: images to measure instead of a scene, in the layout of --truth; both may have "
        "one such folder per object",
    )
    command.add_argument(
        "--lpips",
        action="append",
        default=[],
        metavar="FILE",
        help="weights of LPIPS; twice if backbone (torchvision's VGG16 or AlexNet) and heads (of the package "
        "lpips) are two files (default: no LPIPS)",
    )
    command.add_argument(
        "--clip",
        metavar="FOLDER",
        help="folder of CLIP for CLIP-S; published tables use openai/clip-vit-base-patch32 (default: no "
        "CLIP-S)",
    )
    command.add_argument(
        "-o",
        "--out",
        metavar="FOLDER",
        help="with --protocol: folder for metrics.json, the table metrics.md and the renders "
        "eval_{v}/{f}.png (default: no files)",
    )


def _evaluate(options: argparse.Namespace) -> int:
    """Compute metrics of a scene or of images against ground-truth images."""
    _check_options(options)
    out = None if options.out is None else output_folder(options.out)
    with ConsoleMonitor() as monitor:
        metrics = _measured(options, out, monitor)
    if options.protocol is not None:
        _logger.info("%s", pipeline.report_table(metrics))
    print_result(rounded(metrics))
    return 0


def _measured(options: argparse.Namespace, out: Path | None, monitor: Monitor) -> dict[str, Any]:
    """Return the metrics that the options choose."""
    model = None if options.scene is None else load_scene(options.scene).to(device())
    learned = pipeline.load_learned_metrics(options.lpips, options.clip, device())
    if model is None:
        return pipeline.evaluate_images_by_protocol(options.images, options.truth, learned, out, monitor)
    if options.protocol is None:
        return pipeline.evaluate(model, Path(options.truth), monitor, learned)
    return pipeline.evaluate_scene_by_protocol(model, options.truth, learned, out, monitor)


def _check_options(options: argparse.Namespace) -> None:
    """Raise ValueError unless the options belong together."""
    if (options.scene is None) == (options.images is None):
        given = "neither is given" if options.scene is None else "both are given"
        raise ValueError(f"SCENE, --images: {given}; expected one of them.")
    for name in ("images", "out"):
        if options.protocol is None and getattr(options, name) is not None:
            raise ValueError(f"--{name}: is for --protocol only; add --protocol consistent4d.")
