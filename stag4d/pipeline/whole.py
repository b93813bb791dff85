"""The whole method: six views of every frame, and a scene fitted to them, guided where no view looks."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..data import read_views
from ..diffusion import MultiViewModel, SamplingConfig, SeededNoise, Zero123Model
from ..optimization import OptimizationConfig
from ..scene import GaussianModel4D
from .fitting import CHECKPOINT, Report, fit
from .guidance import distilling
from .listeners import NOBODY, Listeners
from .multiview import write_multiview

VIEWS = "views"  # folder of the views within the result


def run(
    folder: Path,
    images: Tensor,
    alphas: Tensor,
    model: MultiViewModel,
    sampling: SamplingConfig,
    config: OptimizationConfig,
    *,
    prior: Zero123Model | None = None,
    input_elevation_deg: float = 0.0,
    fps: float = 8.0,
    resume: bool = False,
    listeners: Listeners = NOBODY,
) -> tuple[GaussianModel4D, Report]:
    """Turn a prepared clip into a scene.

    Args:
        folder: Gets the views in ``views``, and, while unfinished, what a call with ``resume`` goes on from.
        images: [F, S, S, 3] straight colors.
        alphas: [F, S, S].
        model: Multi-view model; the fit is on its device.
        sampling: Steps, guidance, anchor of the views.
        config: Of the fit; its seed is that of the views, too.
        prior: Judges views that no image shows, where there is one.
        input_elevation_deg: Of the camera that took the clip, degrees, positive above.
        fps: Frames a second.
        resume: Whether to go on from what an interrupted call left.
        listeners: Who hears how far it is.

    Returns:
        The scene and the report, whose metrics have ``views_flicker``.

    Raises:
        ValueError: if a number is out of range, frames are not square, or what was left is damaged.
        RuntimeError: if a file cannot be written or a stage breaks down.
    """
    config.check_prior(prior is not None)
    made = Report()
    with made.stage("views"):
        flicker = write_multiview(
            folder / VIEWS, model, images, alphas, SeededNoise(config.seed), sampling,
            input_elevation_deg=input_elevation_deg, fps=fps, resume=resume,
            on_stage=listeners.on_stage, on_batch=listeners.on_batch,
        )  # fmt: skip
    views = read_views(folder / VIEWS)
    checkpoint = folder / CHECKPOINT
    scene, report = fit(
        views, config,
        checkpoint=checkpoint, resume=resume and checkpoint.exists(),
        make_prior=None if prior is None else distilling(prior, config),
        device=model.unet.device, on_report=listeners.on_report, should_stop=listeners.should_stop,
    )  # fmt: skip
    report.seconds = {**made.seconds, **report.seconds}
    report.metrics = {"views_flicker": flicker}
    return scene, report
