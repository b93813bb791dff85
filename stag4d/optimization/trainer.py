"""The optimisation: one loop from posed views to a scene that moves."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..geometry import OrbitPose
from ..rendering import render
from ..scene import (
    Deformation,
    GaussianModel4D,
    Gaussians,
    PosedGaussians,
    SceneInfo,
    random_ball,
    visual_hull,
)
from ..types import Cameras, StepReport, ViewSet
from .config import OptimizationConfig
from .densification import GradientStatistics, densify
from .frame_pool import FrameMap, frame_pool
from .guidance import ImagePrior, random_poses
from .losses import view_losses
from .parameters import TrainableScene
from .regularizers import elsewhere_penalties, field_penalties, gaussian_penalties
from .schedules import frames_at, size_at
from .training_views import TrainingViews

_REPORT_EVERY = 10  # steps between reports and checks for numbers that are not finite


class _Draw(NamedTuple):
    """What one of ``num_frames`` frames is compared with: C cameras and their backgrounds [C, 3].

    ``elsewhere`` is a camera anywhere, from which its shape is judged, None where it is not.
    """

    frame: int
    cameras: Tensor
    backgrounds: Tensor
    num_frames: int
    elsewhere: OrbitPose | None


class _Compared(NamedTuple):
    """One frame's share of the losses, its gradients in the parameters' order, and the renders' meta."""

    losses: dict[str, Tensor]
    gradients: Sequence[Tensor | None]
    meta: Mapping[str, Any]


class Trainer:
    """A fit in progress: hyper-parameters, data, and the running state that a checkpoint holds.

    Args:
        views: What is given; a copy at the size of the fit goes to ``device``.
        config: Hyper-parameters.
        start: Gaussians to start from instead of the configured start.
        prior: Judge of views that no picture shows; preset ``paper`` needs one.
        device: Where to optimise.
        backend: Rasterizer, see ``rendering.rasterize``.

    Raises:
        ValueError: if the views and the configuration do not fit together.
    """

    def __init__(
        self,
        views: ViewSet,
        config: OptimizationConfig,
        *,
        start: Gaussians | None = None,
        prior: ImagePrior | None = None,
        device: torch.device | str = "cpu",
        backend: str = "auto",
    ) -> None:
        config.check_prior(prior is not None)
        self.config, self.prior, self.device, self.backend = config, prior, torch.device(device), backend
        self.given_start = start
        size = min(
            config.size, max(views.images.shape[1], views.view_images.shape[2] if views.num_views else 0)
        )
        self.views = TrainingViews.from_views(views, size).to(self.device)
        self.info = SceneInfo(
            num_frames=views.num_frames,
            fps=views.fps,
            input_pose=views.input_pose,
            settings={**config.as_json(), "size": size},
        )
        self.frame_times = views.frame_times.to(self.device)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.seconds = 0.0
        gaussians = start if start is not None else _start(self.views, config, self.generator)
        if len(gaussians) == 0:
            raise ValueError("start: no Gaussians; expected at least one.")
        for name, value in gaussians.as_dict().items():
            if not value.isfinite().all():
                raise ValueError(f"start: {name} are not finite; every number must be.")
        deformation = None
        if views.num_frames > 1:
            sizes = replace(config.field, time_resolution=min(config.field.time_resolution, views.num_frames))
            deformation = Deformation(sizes, self.generator).to(self.device)
        self.scene = TrainableScene(gaussians.map(lambda value: value.to(self.device)), deformation)
        self.statistics = GradientStatistics.zeros(len(gaussians), self.device)

    @cached_property
    def key(self) -> str:
        """A hash of what decides the result: views, cameras, configuration, prior, a given start."""
        digest = hashlib.sha256(json.dumps(self.config.as_json(), sort_keys=True).encode())
        given = [self.views.premultiplied, self.views.cameras.viewmats, self.views.cameras.Ks]
        if self.given_start is not None:
            given += self.given_start.as_dict().values()
        for tensor in given:
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        if self.prior is not None:
            digest.update(self.prior.key.encode())
        return digest.hexdigest()

    def run(
        self,
        on_report: Callable[[StepReport], None] = lambda report: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> GaussianModel4D:
        """Optimise until the last step, or until asked to stop; what was reached is kept either way.

        Args:
            on_report: Called every few steps and after the last.
            should_stop: Asked after every step.

        Returns:
            The scene.

        Raises:
            RuntimeError: if a number is not finite or no Gaussian is left; it says at which step.
        """
        began = time.perf_counter() - self.seconds
        is_last = self.step == self.config.steps
        with frame_pool(self.device) as map_frames:
            while not is_last:
                losses = self._advance(map_frames)
                self.seconds = time.perf_counter() - began
                is_last = self.step == self.config.steps or should_stop()
                if is_last or self.step % _REPORT_EVERY == 0:
                    on_report(self._report(losses))
        return self.model()

    def model(self) -> GaussianModel4D:
        """Return a copy of the scene as it is now, on the CPU, without gradients."""
        return GaussianModel4D(self.scene.gaussians, self.scene.deformation, self.info).to("cpu")

    def _advance(self, map_frames: FrameMap) -> dict[str, Tensor]:
        """Do one step; returns the weighted loss terms."""
        config, scene = self.config, self.scene
        progress = self.step / config.steps
        scene.set_rates(config.rates, progress)
        draws = self._draw(progress)
        results = map_frames(lambda draw: self._compare(draw, progress), draws)
        losses = {
            name: torch.stack([part.losses[name] for part in results]).sum() for name in results[0].losses
        }
        metas = [result.meta for result in results]
        priors = gaussian_penalties(scene.gaussians, config.regularizers)
        if (field := self._field(progress)) is not None:
            priors |= field_penalties(field.hexplane, config.regularizers)
        if self.prior is not None:
            priors["guidance"], guided = self._ask(self.prior, [draw.frame for draw in draws], progress)
            metas += guided
        if priors:
            torch.stack(list(priors.values())).sum().backward()
        for result in results:
            scene.add_gradients(result.gradients)
        scene.optimizer.step()
        if config.densification.strategy is not None:
            self.statistics.observe(metas)
        scene.optimizer.zero_grad()
        self.step += 1
        if config.densification.is_due(self.step, config.steps):
            self._densify()
        return losses | priors

    def _draw(self, progress: float) -> list[_Draw]:
        """Draw what the step compares: distinct frames, or one over and over while no other is seen."""
        batch = self.config.batch
        seen = frames_at(progress, self.views.num_frames, batch.static_until, batch.spread_until)
        order = torch.randperm(len(seen), generator=self.generator)[: batch.num_frames].tolist()
        frames = [seen[place] for place in order]
        if len(seen) == 1:
            frames *= batch.num_frames
        elsewhere: Sequence[OrbitPose | None] = [None] * len(frames)
        if self.config.regularizers.looks_elsewhere:
            elsewhere = random_poses(self.config.guidance, len(frames), self.info.input_pose, self.generator)
        draws = []
        for frame, pose in zip(frames, elsewhere, strict=True):
            drawn = (
                torch.randperm(self.views.num_cameras - 1, generator=self.generator)[: batch.num_views] + 1
            )
            cameras = torch.cat([torch.zeros(1, dtype=torch.long), drawn])  # [C], the input first
            backgrounds = torch.ones(len(cameras), 3)
            if batch.background == "random":
                backgrounds = torch.rand(len(cameras), 3, generator=self.generator)
            cameras, backgrounds = cameras.to(self.device), backgrounds.to(self.device)
            draws.append(_Draw(frame, cameras, backgrounds, len(frames), pose))
        return draws

    def _compare(self, draw: _Draw, progress: float) -> _Compared:
        """Render one frame and compare it with its pictures; the gradients are not yet in the parameters."""
        size = size_at(progress, self.views.size, self.config.batch.sizes)
        gaussians = self._posed([draw.frame], progress)[0]
        cameras = self.views.scaled(size)[draw.cameras]
        output = render(gaussians, cameras, background=draw.backgrounds, backend=self.backend)
        targets = self.views.targets(draw.frame, draw.cameras, draw.backgrounds, size)
        sums = view_losses(output, targets, draw.cameras == 0, self.config.losses, progress)
        losses = {name: value / (len(draw.cameras) * draw.num_frames) for name, value in sums.items()}
        if draw.elsewhere is not None:
            camera = Cameras.from_poses([draw.elsewhere], size, size).to(self.device)
            weights = self.config.regularizers
            seen = render(gaussians, camera, with_depth=weights.depth_roughness > 0, backend=self.backend)
            for name, value in elsewhere_penalties(seen, weights).items():
                losses[name] = value / draw.num_frames
        means2d = output.meta["means2d"]
        total = torch.stack(list(losses.values())).sum()
        *gradients, means2d.grad = torch.autograd.grad(
            total, [*self.scene.parameters(), means2d], allow_unused=True
        )
        return _Compared({name: value.detach() for name, value in losses.items()}, gradients, output.meta)

    def _field(self, progress: float) -> Deformation | None:
        """Return the field once things move."""
        return self.scene.deformation if progress >= self.config.batch.static_until else None

    def _posed(self, frames: list[int], progress: float) -> PosedGaussians:
        """Return the Gaussians at the frames' times; the canonical ones while static."""
        model = GaussianModel4D(self.scene.gaussians, self._field(progress), self.info)
        return model.at(self.frame_times[frames])

    def _densify(self) -> None:
        """Add and remove Gaussians; raises RuntimeError if none is left or numbers are not finite."""
        self._check_finite()  # first: what is not finite would be pruned
        densify(self.scene, self.statistics, self.config.densification, self.generator)
        self.statistics = GradientStatistics.zeros(len(self.scene.gaussians), self.device)
        if len(self.scene.gaussians) == 0:
            raise RuntimeError(
                f"step {self.step}: no Gaussian is left after pruning; lower min_opacity or raise "
                "max_scale of the densification."
            )

    def _ask(
        self, prior: ImagePrior, frames: list[int], progress: float
    ) -> tuple[Tensor, list[Mapping[str, Any]]]:
        """Render the step's frames from random poses; a prior's weighted loss and the renders' metas."""
        guidance = self.config.guidance
        posed = self._posed(frames, progress)
        size = size_at(progress, self.views.size, self.config.batch.sizes)
        poses = random_poses(guidance, len(frames), self.info.input_pose, self.generator)
        is_white = torch.rand(len(frames), 1, generator=self.generator) < 0.5  # official: a coin per render
        backgrounds = is_white.float().expand(-1, 3).to(self.device)  # [B, 3]
        outputs = [
            render(
                posed[index],
                Cameras.from_poses([pose], size, size).to(self.device),
                background=backgrounds[index : index + 1],
                backend=self.backend,
            )
            for index, pose in enumerate(poses)
        ]
        images = torch.cat([output.images for output in outputs])  # [B, S, S, 3]
        loss = prior.loss(images, frames, poses, progress, self.generator)
        return guidance.weight * loss, [output.meta for output in outputs]

    def _report(self, losses: dict[str, Tensor]) -> StepReport:
        """Return the step's numbers after checking them."""
        values = {name: value.item() for name, value in losses.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise RuntimeError(f"step {self.step}: the {name} loss is {value}; lower the learning rates.")
        self._check_finite()  # parameters can break while culling keeps the losses finite
        values["total"] = sum(values.values())
        return StepReport(self.step, self.config.steps, values, len(self.scene.gaussians))

    def _check_finite(self) -> None:
        """Raise RuntimeError with the first kind of parameter that is not finite, if one is not."""
        for group in self.scene.optimizer.param_groups:
            if not all(torch.isfinite(value).all() for value in group["params"]):
                raise RuntimeError(
                    f"step {self.step}: {group['name']} are no longer finite; lower their learning rate."
                )


def _start(views: TrainingViews, config: OptimizationConfig, generator: torch.Generator) -> Gaussians:
    """Return the configured start, on the CPU."""
    start = config.start
    if start.kind == "ball":
        return random_ball(start.num_points, start.bound, generator)
    rgba = views.premultiplied[views.num_frames // 2].cpu().float() / 255  # [1 + V, S, S, 4]
    alphas = list(rgba[..., 3])
    images = [image[..., :3] / image[..., 3:].clamp_min(1e-3) for image in rgba]
    cameras = [views.cameras[[index]].to("cpu") for index in range(views.num_cameras)]
    return visual_hull(images, alphas, cameras, start.num_points, start.bound, generator)
