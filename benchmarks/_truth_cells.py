"""One cell of the benchmark against truth: a row's way with a toy and a seed, measured at unseen views."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stag4d.atomic import replacing
from stag4d.data import read_views
from stag4d.diffusion import (
    MultiViewModel,
    Zero123Model,
    load_guidance_model,
    load_multiview_model,
)
from stag4d.evaluation import compare, on_white
from stag4d.geometry import OrbitPose
from stag4d.optimization import OptimizationConfig, preset
from stag4d.pipeline import fit, model_folder, render_views
from stag4d.pipeline.guidance import denoiser_maker
from stag4d.pipeline.multiview import write_multiview
from stag4d.toys import INPUT_POSE, TEST_POSES, toy_seed, toy_truth
from stag4d.types import InputVideo, ViewSet

from ._truth_rows import ROWS, Row


class Cell(NamedTuple):
    """A row, the number of a test toy, and a seed."""

    row: str
    toy: int
    seed: int

    def __str__(self) -> str:
        """Return the name of its file."""
        return f"{self.row}-test{self.toy}-seed{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all cells have in common.

    Attributes:
        out: Folder of the cells and views.
        frames: Of the clip.
        size: Of the clip, the fit and the test views, pixels.
        steps: Of the fit.
        sampling_steps: Of the views.
        guidance_scale: Of the views.
        multiview_model: Folder, or ``bundled/NAME``.
        guidance_model: The same.
    """

    out: Path
    frames: int
    size: int
    steps: int
    sampling_steps: int
    guidance_scale: float
    multiview_model: str
    guidance_model: str

    def __post_init__(self) -> None:
        """Check the numbers; raises ValueError with the offending one."""
        if self.frames < 2:
            raise ValueError(f"--frames: {self.frames}; expected at least 2, or nothing moves.")
        for row in ROWS.values():
            row.sampling(self.sampling_steps, self.guidance_scale)
            self.fitting(row, 0)

    def file(self, cell: Cell) -> Path:
        """Return where a cell's result is."""
        return self.out / "cells" / f"{cell}.json"

    def settings(self, row_name: str) -> dict[str, Any]:
        """Return all that decides a row's results but toy and seed, as JSON gives it back."""
        row = ROWS[row_name]
        views: Any = "true"
        if not row.has_true_views:
            sampling = asdict(row.sampling(self.sampling_steps, self.guidance_scale))
            views = {**sampling, "noise_is_shared": row.shares_noise}
        config = {**self.fitting(row, 0).as_json(), "has_prior": row.told_of is not None}
        del config["seed"]
        if row.told_of is not None:
            config["prior"] = self._guidance_hash
        return json.loads(json.dumps({"bench": self._common, "views": views, "fit": config}))

    def fitting(self, row: Row, seed: int) -> OptimizationConfig:
        """Return how a row fits."""
        return row.fitting(self.steps, self.size, seed, self.frames)

    @functools.cached_property
    def _common(self) -> dict[str, Any]:
        """Return what the settings of all cells share, the models by their content."""
        said = {key: value for key, value in asdict(self).items() if key not in ("out", "guidance_model")}
        said["multiview_model"] = _content_hash(model_folder(self.multiview_model, "multiview"))
        usual = json.dumps(preset("fast").as_json(), sort_keys=True)  # what all rows but paper derive from
        said["preset_fast"] = hashlib.sha256(usual.encode()).hexdigest()[:16]
        said["device"] = _device().type
        return said

    @functools.cached_property
    def _guidance_hash(self) -> str:
        """Return what tells the prior's content; rows that ask no prior need none."""
        return _content_hash(model_folder(self.guidance_model, "guidance"))


class Models(NamedTuple):
    """The networks."""

    multiview: MultiViewModel
    guidance: Zero123Model | None


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_models(bench: Bench, cells: Sequence[Cell]) -> Models:
    """Load the networks; the prior only where a cell asks it."""
    device = _device()
    return Models(
        load_multiview_model(model_folder(bench.multiview_model, "multiview"), device=device),
        load_guidance_model(model_folder(bench.guidance_model, "guidance"), device=device)
        if any(ROWS[cell.row].told_of is not None for cell in cells)
        else None,
    )


def run_cell(bench: Bench, models: Models, cell: Cell) -> dict[str, Any]:
    """Draw a cell's views, fit to them, measure, and write the cell's file.

    Returns:
        What the file says: ``settings``; ``scores`` at the test views (``psnr``, ``ssim``, ``iou``,
        ``lpips``, ``flicker``) and of the drawn views against the toy's own (``views_psnr``,
        ``views_flicker``), None where there are none; ``num_gaussians`` of the scene, of frames that are
        alone in the mean; ``seconds`` of each stage.
    """
    row, seconds, began = ROWS[cell.row], {}, time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal began
        seconds[stage] = round(time.perf_counter() - began, 2)
        began = time.perf_counter()

    clip = _truth(cell.toy, (INPUT_POSE,), bench.frames, bench.size)
    grid = models.multiview.grid
    own_views = _truth(cell.toy, grid.poses, bench.frames, grid.tile_size)
    truth = _truth(cell.toy, TEST_POSES, bench.frames, bench.size)
    lap("truth")
    images, alphas = clip[0][0], clip[1][0]  # [F, S, S, 3], [F, S, S]
    scores: dict[str, float | None] = {"views_psnr": None, "views_flicker": None}
    if row.has_true_views:
        own_images, own_alphas = (part.transpose(0, 1).contiguous() for part in own_views)  # frames first
        views = ViewSet(images, alphas, own_images, own_alphas, INPUT_POSE, grid.poses)
    else:
        folder = bench.out / "views" / str(cell._replace(row=row.views_name))
        sampling = row.sampling(bench.sampling_steps, bench.guidance_scale)
        noise = row.noise(cell.seed)
        write_multiview(
            folder, models.multiview, InputVideo(images, alphas), noise, sampling, resume=True
        )
        views = read_views(folder)
        drawn = views.view_images.transpose(0, 1), views.view_alphas.transpose(0, 1)
        found = compare(*drawn, *own_views)
        scores = {"views_psnr": found["psnr"], "views_flicker": found["flicker"]}
    lap("views")
    rendered, num_gaussians = _fitted(bench, row, models, views, cell.seed)
    lap("fit")
    found = compare(*rendered, *truth)
    scores = {**{name: found[name] for name in ("psnr", "ssim", "iou", "flicker")}, **scores}
    scores["lpips"] = _perceptual_distance(on_white(*rendered), on_white(*truth))
    lap("measure")
    result = {
        "settings": bench.settings(cell.row),
        "scores": scores,
        "num_gaussians": num_gaussians,
        "seconds": seconds,
    }
    with replacing(bench.file(cell)) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _fitted(
    bench: Bench, row: Row, models: Models, views: ViewSet, seed: int
) -> tuple[tuple[Tensor, Tensor], float]:
    """Return a row's scene from the test views, [V, F, S, S, 3] straight and alphas, and its Gaussians."""
    config = bench.fitting(row, seed)
    prior = models.guidance if row.told_of is not None else None
    make_denoiser = None if prior is None else denoiser_maker(prior, config.seed)
    device = models.multiview.unet.device
    clips = [_frame(views, frame) for frame in range(views.num_frames)] if row.is_alone else [views]
    shots, counts = [], []
    for clip in clips:
        model, report = fit(clip, config, make_denoiser=make_denoiser, device=device)
        counts.append(report.num_gaussians)
        shots.append(render_views(model, list(TEST_POSES), list(range(clip.num_frames)), bench.size))
    images, alphas = (torch.cat(parts, dim=1) for parts in zip(*shots, strict=True))
    return (images, alphas), statistics.mean(counts)


def _frame(views: ViewSet, frame: int) -> ViewSet:
    """Return one frame and its views as a clip."""
    one = slice(frame, frame + 1)
    return ViewSet(
        views.images[one], views.alphas[one], views.view_images[one], views.view_alphas[one],
        views.input_pose, views.view_poses, views.fps,
    )  # fmt: skip


@functools.cache
def _truth(toy: int, poses: tuple[OrbitPose, ...], frames: int, size: int) -> tuple[Tensor, Tensor]:
    """Return a test toy from cameras, [V, F, S, S, 3] and alphas [V, F, S, S]; ray-cast once per process."""
    return toy_truth(toy_seed("test", toy), poses, frames, size)


def _perceptual_distance(images: Tensor, truth: Tensor) -> float | None:
    """Return the mean LPIPS of pictures [V, F, S, S, 3], None where it cannot be had."""
    network = _perceptual_network()
    if network is None:
        return None
    pairs = zip(images.permute(0, 1, 4, 2, 3), truth.permute(0, 1, 4, 2, 3), strict=True)
    with torch.no_grad():
        return torch.cat([network(*pair, normalize=True).flatten() for pair in pairs]).mean().item()


@functools.cache
def _perceptual_network() -> Any:
    """Return LPIPS on VGG as its authors publish it, or None: the project does not depend on it."""
    try:
        import lpips

        return lpips.LPIPS(net="vgg", verbose=False).eval()
    except (ImportError, OSError, RuntimeError) as error:  # it or its torchvision, or what they download
        logging.getLogger(__name__).warning("LPIPS is left out (%s).", error)
        return None


def _content_hash(folder: Path) -> str:
    """Return a hash of a folder's files; raises FileNotFoundError if there are none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise FileNotFoundError(f"{folder}: no such model; expected a folder with files.")
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
