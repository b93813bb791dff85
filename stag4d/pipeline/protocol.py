"""Evaluation by a published protocol, that of Consistent4D: of a scene, or of images on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..atomic import replacing_files, write_whole
from ..evaluation import LearnedMetrics, load_perceptual_distance, mean
from ..evaluation.consistent4d import (
    AZIMUTHS_DEG,
    FRAME_FILE,
    EvaluationViews,
    evaluate_views,
    find_evaluation_views,
    find_objects,
)
from ..evaluation.tables import markdown_table
from ..export import write_image
from ..progress import Monitor, silent
from ..rendering import render
from ..scene import GaussianModel4D
from ..types import Cameras

Protocol = Literal["consistent4d"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
_LEFT_OUT = {
    "lpips": "LPIPS is left out: it needs --lpips twice, with torchvision's weights of VGG16 "
    "(vgg16-397923af.pth) and with lpips/weights/v0.1/vgg.pth of the package lpips.",
    "clip_s": "CLIP-S is left out: it needs --clip with a folder of openai/clip-vit-base-patch32.",
    "psnr_masked": "The masked PSNR is left out: it needs ground truth with alpha.",
    "fvd": "FVD is left out: compute it with evaluation/compute_fvd.py of Consistent4D, which reads the "
    "images that -o writes.",
}


def load_learned_metrics(
    lpips: Sequence[str | Path] = (), clip: str | Path | None = None, device: torch.device | str = "cpu"
) -> LearnedMetrics:
    """Load the networks of LPIPS and CLIP-S from files; nothing is downloaded.

    Args:
        lpips: Files of the LPIPS network, see ``load_perceptual_distance``; none leaves LPIPS out.
        clip: Folder of CLIP, see ``load_image_encoder``; None leaves CLIP-S out.
        device: Device of the networks.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if a file is damaged or not the expected one.
    """
    network = load_perceptual_distance(lpips).to(device) if lpips else None
    if clip is None:
        return LearnedMetrics(lpips=network)
    from ..diffusion.image_encoder import load_image_encoder  # takes seconds to import

    return LearnedMetrics(lpips=network, embed=load_image_encoder(clip, device))


def evaluate_scene_by_protocol(
    model: GaussianModel4D,
    truth: str | Path,
    learned: LearnedMetrics,
    out: str | Path | None = None,
    monitor: Monitor = silent,
) -> dict[str, Any]:
    """Measure a scene against the ground truth of Consistent4D's protocol.

    The scene is rendered from its input camera, turned to the azimuths of the protocol, at the size of the
    ground truth, on white, and rounded to 8 bits.

    Args:
        model: The scene; it has as many frames as the ground truth.
        truth: Folder of one object, ``eval_{v}/{f}.png``.
        learned: Networks of LPIPS and CLIP-S.
        out: Folder for the renders, in the same layout, and ``metrics.json`` and ``metrics.md``; None writes
            no files.
        monitor: Progress callback.

    Returns:
        ``protocol``; the scores of ``evaluation.consistent4d.evaluate_views``; ``frames``; ``networks``, the
        kind of each metric's network; ``left_out``, by metric why it is not there.

    Raises:
        FileNotFoundError: if the ground truth or a frame of it is missing.
        ValueError: if the ground truth is malformed, holds several objects or another number of frames.
        RuntimeError: if ``out`` cannot be written.
        Interrupted: if the monitor cancels.
    """
    objects = find_objects(truth, "ground truth")
    if "" not in objects:
        raise ValueError(
            f"ground truth: {truth} holds the objects {', '.join(objects)}; expected the folder of one, as "
            "a scene is of one object."
        )
    views = find_evaluation_views(objects[""], "ground truth")
    if views.num_frames != model.info.num_frames:
        raise ValueError(
            f"ground truth: {truth} has {views.num_frames} frames, the scene has {model.info.num_frames}; "
            "expected the same number: fit the scene to all frames of the input video."
        )
    if out is not None and Path(out).resolve() == objects[""].resolve():
        raise ValueError(f"{out}: is the folder of the ground truth; choose another one for the renders.")
    pose = model.info.input_pose
    poses = [replace(pose, azimuth_deg=pose.azimuth_deg + azimuth) for azimuth in AZIMUTHS_DEG]
    cameras = Cameras.from_poses(poses, views.size, views.size).to(model.device)
    with ExitStack() as stack:
        folders = [
            stack.enter_context(replacing_files(Path(out) / f"eval_{view}", FRAME_FILE))
            for view in range(len(poses))
            if out is not None
        ]

        @torch.no_grad()
        def images_of(frame: int) -> Tensor:
            deformed = model.at(model.frame_times[[frame]])[0]
            images = render(deformed, cameras).images.cpu()  # [V, S, S, 3]
            for folder, image in zip(folders, images, strict=False):  # no folders without out
                write_image(folder / f"{frame}.png", image)
            return images

        result = _report(evaluate_views(views, images_of, learned, monitor), views.num_frames, learned)
    if out is not None:
        _write_report(Path(out), result)
    return result


def evaluate_images_by_protocol(
    images: str | Path,
    truth: str | Path,
    learned: LearnedMetrics,
    out: str | Path | None = None,
    monitor: Monitor = silent,
) -> dict[str, Any]:
    """Measure images on disk against the ground truth of Consistent4D's protocol.

    Args:
        images: Folder of one object, ``eval_{v}/{f}.png``, or with one such folder per object.
        truth: Folder of the same layout.
        learned: Networks of LPIPS and CLIP-S.
        out: Folder for ``metrics.json`` and ``metrics.md``; None writes no files.
        monitor: Progress callback.

    Returns:
        As ``evaluate_scene_by_protocol``. For several objects the scores are means over them, and
        ``objects`` has those of each object by name instead of ``per_view`` and ``frames``.

    Raises:
        FileNotFoundError: if a view or a frame is missing.
        ValueError: if a folder is malformed, or the objects or numbers of frames differ.
        RuntimeError: if ``out`` cannot be written.
        Interrupted: if the monitor cancels.
    """
    found, true = find_objects(images, "images"), find_objects(truth, "ground truth")
    if found.keys() != true.keys():
        names = [", ".join(part) if "" not in part else "one object" for part in (found, true)]
        raise ValueError(
            f"images: {images} has {names[0]}, {truth} has {names[1]}; expected the same objects."
        )
    pairs = {name: _pair(found[name], true[name]) for name in true}  # errors before the first is measured
    scores = {
        name: evaluate_views(views, read_images, learned, monitor)
        for name, (views, read_images) in pairs.items()
    }
    if "" in scores:
        result = _report(scores[""], pairs[""][0].num_frames, learned)
    else:
        objects = {name: {**values, "frames": pairs[name][0].num_frames} for name, values in scores.items()}
        shared = [name for name in next(iter(scores.values())) if name != "per_view"]
        shared = [name for name in shared if all(name in values for values in scores.values())]
        means = {name: mean(values[name] for values in scores.values()) for name in shared}
        result = _report(means, None, learned) | {"objects": objects}
    if out is not None:
        _write_report(Path(out), result)
    return result


def _pair(images: Path, truth: Path) -> tuple[EvaluationViews, Callable[[int], Tensor]]:
    """Return the ground truth of an object, and the function that reads a frame of the images."""
    views, true_views = find_evaluation_views(images, "images"), find_evaluation_views(truth, "ground truth")
    if views.num_frames != true_views.num_frames:
        raise ValueError(
            f"images: {images} has {views.num_frames} frames, {truth} has {true_views.num_frames}; expected "
            "the same number."
        )
    return true_views, lambda frame: views.read(frame)[0]


def report_table(result: dict[str, Any]) -> str:
    """Return a result as a table in Markdown."""
    return markdown_table(
        result, [f"eval_{view} ({azimuth:g}°)" for view, azimuth in enumerate(AZIMUTHS_DEG)]
    )


def _write_report(folder: Path, result: dict[str, Any]) -> None:
    """Write a result as ``metrics.json`` and ``metrics.md``; raises RuntimeError if that fails."""
    write_whole(folder / "metrics.json", (json.dumps(result, indent=1) + "\n").encode())
    write_whole(folder / "metrics.md", report_table(result).encode())


def _report(scores: dict[str, Any], num_frames: int | None, learned: LearnedMetrics) -> dict[str, Any]:
    """Return scores with what they were measured by, and what is left out."""
    frames = {} if num_frames is None else {"frames": num_frames}
    left_out = {name: sentence for name, sentence in _LEFT_OUT.items() if name not in scores}
    kind = {"protocol": "consistent4d", **frames}
    return {**kind, **scores, "networks": learned.networks, "left_out": left_out}
