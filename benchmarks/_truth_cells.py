"""One cell of the benchmark against ground truth: a row run on a toy with a seed, scored at novel views."""

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
from stag4d.toys import ANY_CHARACTER, INPUT_POSE, TEST_POSES, toy_seed, toy_truth
from stag4d.types import InputVideo
from stag4d.view_set import ViewSet

from ._single_frames import single_frame
from ._truth_rows import ROWS, Row


class Cell(NamedTuple):
    """The name of a row, the number of a test toy, and a seed."""

    row: str
    toy: int
    seed: int

    def __str__(self) -> str:
        """Return the name of the cell's file, without extension."""
        return f"{self.row}-test{self.toy}-seed{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Settings common to all cells.

    Attributes:
        out: Folder of the cells and views.
        frames: Frames of the video.
        size: Size of the video, the fit and the test views, pixels.
        steps: Optimization steps of a fit with preset ``fast``.
        sampling_steps: Sampling steps of the multi-view model.
        guidance_scale: Classifier-free guidance scale of the multi-view model.
        multiview_model: Folder of the multi-view model, or ``bundled/NAME``.
        guidance_model: Folder of the guidance model, or ``bundled/NAME``.
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
        """Check the settings; raises ValueError with the offending value."""
        if self.frames < 2:
            raise ValueError(f"--frames: {self.frames}; expected at least 2.")
        for row in ROWS.values():
            row.sampling(self.sampling_steps, self.guidance_scale)
            self.fitting(row, 0)

    def file(self, cell: Cell) -> Path:
        """Return the path of a cell's result."""
        return self.out / "cells" / f"{cell}.json"

    def settings(self, row_name: str) -> dict[str, Any]:
        """Return all settings that determine a row's results except toy and seed, as JSON values."""
        row = ROWS[row_name]
        views: Any = "true"
        if not row.has_true_views:
            sampling = asdict(row.sampling(self.sampling_steps, self.guidance_scale))
            views = {**sampling, "noise_is_shared": row.shares_noise}
        config = {**self.fitting(row, 0).as_json(), "has_prior": row.sds_condition is not None}
        del config["seed"]
        if row.sds_condition is not None:
            config["prior"] = self._guidance_hash
        return json.loads(json.dumps({"bench": self._common, "views": views, "fit": config}))

    def fitting(self, row: Row, seed: int) -> OptimizationConfig:
        """Return the optimization config of a row."""
        return row.fitting(self.steps, self.size, seed, self.frames)

    @functools.cached_property
    def _common(self) -> dict[str, Any]:
        """Return the settings that all cells share, with hashes of the models' files."""
        common = {key: value for key, value in asdict(self).items() if key not in ("out", "guidance_model")}
        common["multiview_model"] = _content_hash(model_folder(self.multiview_model, "multiview"))
        fast = json.dumps(preset("fast").as_json(), sort_keys=True)  # the base of all rows except paper
        common["preset_fast"] = hashlib.sha256(fast.encode()).hexdigest()[:16]
        common["device"] = _device().type
        return common

    @functools.cached_property
    def _guidance_hash(self) -> str:
        """Return a hash of the guidance model's files; only rows with guidance need it."""
        return _content_hash(model_folder(self.guidance_model, "guidance"))


class Models(NamedTuple):
    """The multi-view model, and the guidance model where a cell needs it."""

    multiview: MultiViewModel
    guidance: Zero123Model | None


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_models(bench: Bench, cells: Sequence[Cell]) -> Models:
    """Load the models; the guidance model only if a cell needs it."""
    device = _device()
    return Models(
        load_multiview_model(model_folder(bench.multiview_model, "multiview"), device=device),
        load_guidance_model(model_folder(bench.guidance_model, "guidance"), device=device)
        if any(ROWS[cell.row].sds_condition is not None for cell in cells)
        else None,
    )


def run_cell(bench: Bench, models: Models, cell: Cell) -> dict[str, Any]:
    """Generate a cell's views, fit a scene to them, score it, and write the cell's file.

    Returns:
        The content of the file: ``settings``; ``scores`` at the test views (``psnr``, ``ssim``, ``iou``,
        ``lpips``, ``flicker``) and of the generated views against the true ones (``views_psnr``,
        ``views_flicker``), None where not available; ``num_gaussians`` of the scene, for frames that are
        fitted alone their mean; ``seconds`` of each stage.
    """
    row, seconds, began = ROWS[cell.row], {}, time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal began
        seconds[stage] = round(time.perf_counter() - began, 2)
        began = time.perf_counter()

    video = _truth(cell.toy, (INPUT_POSE,), bench.frames, bench.size)
    grid = models.multiview.grid
    true_views = _truth(cell.toy, grid.poses, bench.frames, grid.tile_size)
    truth = _truth(cell.toy, TEST_POSES, bench.frames, bench.size)
    lap("truth")
    images, alphas = video[0][0], video[1][0]  # [F, S, S, 3], [F, S, S]
    scores: dict[str, float | None] = {"views_psnr": None, "views_flicker": None}
    if row.has_true_views:
        view_images, view_alphas = (part.transpose(0, 1).contiguous() for part in true_views)  # [F, V, ...]
        views = ViewSet.from_orbit(images, alphas, view_images, view_alphas, INPUT_POSE, grid.poses)
    else:
        folder = bench.out / "views" / str(cell._replace(row=row.views_name))
        sampling = row.sampling(bench.sampling_steps, bench.guidance_scale)
        noise = row.noise(cell.seed)
        write_multiview(folder, models.multiview, InputVideo(images, alphas), noise, sampling, resume=True)
        views = read_views(folder)
        generated = views.view_images.transpose(0, 1), views.view_alphas.transpose(0, 1)
        found = compare(*generated, *true_views)
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
    """Return renders of a row's scene at the test views, [V, F, S, S, 3] and alphas, and its Gaussians."""
    config = bench.fitting(row, seed)
    guidance = models.guidance if row.sds_condition is not None else None
    make_denoiser = None if guidance is None else denoiser_maker(guidance, config.seed)
    device = models.multiview.unet.device
    parts = [single_frame(views, frame) for frame in range(views.num_frames)] if row.is_alone else [views]
    renders, counts = [], []
    for part in parts:
        model, report = fit(part, config, make_denoiser=make_denoiser, device=device)
        counts.append(report.num_gaussians)
        renders.append(render_views(model, list(TEST_POSES), list(range(part.num_frames)), bench.size))
    images, alphas = (torch.cat(values, dim=1) for values in zip(*renders, strict=True))
    return (images, alphas), statistics.mean(counts)


@functools.cache
def _truth(toy: int, poses: tuple[OrbitPose, ...], frames: int, size: int) -> tuple[Tensor, Tensor]:
    """Return renders of a test toy, [V, F, S, S, 3] and alphas [V, F, S, S]; cached in the process."""
    return toy_truth(toy_seed("test", toy), poses, frames, size, ANY_CHARACTER)


def _perceptual_distance(images: Tensor, truth: Tensor) -> float | None:
    """Return the mean LPIPS of images [V, F, S, S, 3], None where the package is not available."""
    network = _perceptual_network()
    if network is None:
        return None
    pairs = zip(images.permute(0, 1, 4, 2, 3), truth.permute(0, 1, 4, 2, 3), strict=True)
    with torch.no_grad():
        return torch.cat([network(*pair, normalize=True).flatten() for pair in pairs]).mean().item()


@functools.cache
def _perceptual_network() -> Any:
    """Return the published LPIPS network on VGG, or None if the optional package is not available."""
    try:
        import lpips

        return lpips.LPIPS(net="vgg", verbose=False).eval()
    except (ImportError, OSError, RuntimeError) as error:  # the package, its torchvision or its weights
        logging.getLogger(__name__).warning("LPIPS is not available (%s).", error)
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
