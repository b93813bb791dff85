"""The optimization loop: from posed views to a 4D Gaussian scene."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..devices import to_device
from ..geometry import OrbitPose
from ..lpips import PerceptualDistance
from ..progress import Check, Interrupted, Monitor, never_cancel, silent
from ..rendering import render, render_frames
from ..resume import input_key
from ..scene import Deformation, DeformedGaussians, GaussianModel4D, Gaussians, SceneInfo
from ..types import Cameras
from ..view_set import ViewSet
from .config import OptimizationConfig
from .densification import GradientStatistics, densify
from .frame_pool import FrameMap, frame_pool, split_frames
from .guidance import GuidanceDenoiser
from .history import FitHistory
from .initialization import initial_gaussians
from .losses import view_losses
from .novel_views import random_poses
from .parameters import TrainableScene
from .perceptual_loss import PerceptualLoss, check_render_sizes, frozen
from .regularizers import (
    field_regularization,
    gaussian_regularization,
    novel_view_regularization,
    weights_for_motion,
)
from .schedules import frames_at, size_at
from .score_distillation import ScoreDistillation
from .training_views import TrainingViews

_CHECK_EVERY = 10  # steps between checks for values that are not finite, and between notes to the monitor


class _FrameSample(NamedTuple):
    """Random choices for one frame of a step.

    Attributes:
        frame: Index of the frame.
        chosen: [C] views to render, the input video's first, on the CPU.
        backgrounds: [C, 3], on the CPU.
        num_renders: Renders of the step, over which losses are averaged.
        novel_pose: Pose of the render for novel-view regularization; None if another frame of the step has
            it, or its weights are 0.
        perceptual: Perceptual loss of the C renders; None without its network.
    """

    frame: int
    chosen: Tensor
    backgrounds: Tensor
    num_renders: int
    novel_pose: OrbitPose | None
    perceptual: PerceptualLoss | None


class _FrameResult(NamedTuple):
    """Some frames' share of the losses, its gradients in the parameters' order, and the renders' metas."""

    losses: dict[str, Tensor]
    gradients: Sequence[Tensor | None]
    metas: Sequence[Mapping[str, Any]]


class Trainer:
    """An optimization in progress: hyper-parameters, data, and the running state that a checkpoint holds.

    Args:
        views: Input frames and posed views; resized copies at the training resolution go to ``device``.
        config: Hyper-parameters.
        start: Gaussians to start from instead of the configured initialization.
        denoiser: Guidance model for score distillation; preset ``paper`` needs one.
        perceptual: LPIPS network for the perceptual loss; it is frozen and moved to ``device``.
        device: Device of the optimization.
        backend: Rasterizer, see ``rendering.rasterize``.

    Raises:
        ValueError: if the views and the configuration are incompatible, or renders are too small for LPIPS.
    """

    def __init__(
        self,
        views: ViewSet,
        config: OptimizationConfig,
        *,
        start: Gaussians | None = None,
        denoiser: GuidanceDenoiser | None = None,
        perceptual: PerceptualDistance | None = None,
        device: torch.device | str = "cpu",
        backend: str = "auto",
    ) -> None:
        config.check_guidance(denoiser is not None)
        self.config, self.device, self.backend = config, torch.device(device), backend
        self.guidance = None if denoiser is None else ScoreDistillation(denoiser, config.guidance)
        self.start_gaussians = start
        size = min(config.size, max(max(track.images.shape[1:3]) for track in views.tracks))
        given = TrainingViews.from_views(views, size)
        self.perceptual = None
        if perceptual is not None and config.losses.perceptual > 0:
            check_render_sizes(perceptual, given.image_sizes, config.batch.sizes)
            self.perceptual = frozen(perceptual, self.device)
        self.info = SceneInfo(
            num_frames=views.num_frames,
            fps=views.fps,
            input_pose=views.first_pose,
            settings={**config.as_json(), "size": size},
        )
        self.offsets = views.offsets  # not in ``info``: views and scene are object-centered in training
        self.frame_times = views.frame_times
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.seconds = 0.0
        self.history = FitHistory()
        self._losses: dict[str, Tensor] = {}
        gaussians = initial_gaussians(given, config.start, start, self.generator)
        deformation, regularizers = None, config.regularizers
        if views.num_frames > 1:
            field_config = replace(
                config.field, time_resolution=min(config.field.time_resolution, views.num_frames)
            )
            deformation = Deformation(field_config, self.generator).to(self.device)
            regularizers = weights_for_motion(regularizers, given, field_config.time_resolution)
        self.views = given.to(self.device)
        self.regularizers = regularizers
        self.scene = TrainableScene(gaussians.map(lambda value: value.to(self.device)), deformation)
        self.statistics = GradientStatistics.zeros(len(gaussians), self.device)

    @cached_property
    def key(self) -> str:
        """Hash of the inputs: views, cameras, offsets, configuration, networks, given start."""
        inputs = self.views.tensors
        if self.offsets is not None:
            inputs.append(self.offsets)
        if self.start_gaussians is not None:
            inputs += self.start_gaussians.as_dict().values()
        guidance = "" if self.guidance is None else self.guidance.key
        perceptual = "" if self.perceptual is None else f"perceptual {self.perceptual.key}"
        return input_key(json.dumps(self.config.as_json(), sort_keys=True), *inputs, guidance, perceptual)

    @property
    def losses(self) -> dict[str, float]:
        """Weighted loss terms of the last step by name, and their ``total``; empty before the first step."""
        if not self._losses:
            return {}
        values = torch.stack(list(self._losses.values())).tolist()
        return {**dict(zip(self._losses, values, strict=True)), "total": sum(values)}

    @losses.setter
    def losses(self, values: Mapping[str, float]) -> None:
        self._losses = {name: torch.tensor(value) for name, value in values.items() if name != "total"}

    def run(
        self, monitor: Monitor = silent, after_step: Callable[[], object] = never_cancel
    ) -> GaussianModel4D:
        """Optimize until the last step.

        Args:
            monitor: Called after every step, with the scene as preview, and within steps, without. After an
                interrupt the trainer holds the state of the last complete step.
            after_step: Called after every step, before the monitor; the trainer's state may be saved then.

        Returns:
            The scene.

        Raises:
            RuntimeError: if a value is not finite or no Gaussian is left; it names the step.
        """
        began = time.perf_counter() - self.seconds
        num_steps, note = self.config.steps, ""
        with frame_pool(self.device) as map_frames:
            while self.step < num_steps:
                check = partial(monitor, "optimize", self.step, num_steps, note=note)
                self._losses = self._advance_or_undo(map_frames, check)
                self.seconds = time.perf_counter() - began
                if self.step == num_steps or self.step % _CHECK_EVERY == 0:
                    note = self._check()
                if self.history.is_due(self.step, num_steps):
                    self.history.record(self.step, self.seconds, len(self.scene.gaussians), self.losses)
                after_step()
                try:
                    monitor("optimize", self.step, num_steps, note=note, preview=self.model)
                except Interrupted:
                    self._check()  # the caller saves this state: raise, so that no NaN is saved
                    raise
        return self.model()

    def model(self) -> GaussianModel4D:
        """Return a copy of the current scene, with the views' offsets, on the CPU, without gradients."""
        info = self.info if self.offsets is None else replace(self.info, offsets=self.offsets)
        return GaussianModel4D(self.scene.gaussians, self.scene.deformation, info).to("cpu")

    def _advance_or_undo(self, map_frames: FrameMap, check: Check) -> dict[str, Tensor]:
        """Do one optimization step; if ``check`` cancels it, restore the state before it."""
        generator_state = self.generator.get_state()
        try:
            return self._advance(map_frames, check)
        except Interrupted:
            self.generator.set_state(generator_state)
            self.scene.optimizer.zero_grad()
            if self._losses:  # none in the first step, or after resuming from version 0.1
                self._check()  # the caller saves this state: raise, so that no NaN is saved
            raise

    def _advance(self, map_frames: FrameMap, check: Check = never_cancel) -> dict[str, Tensor]:
        """Do one optimization step; returns the weighted loss terms.

        Until the optimizer's step only the random generator and ``.grad`` change, and ``check``, which may
        raise ``Interrupted``, is not called from then on.
        """
        config, scene = self.config, self.scene
        progress = self.step / config.steps
        scene.set_rates(config.rates, progress)

        # Photometric losses and novel-view regularization: part by part, each with gradients of its own.
        samples = self._sample_frames(progress)
        parts = split_frames(samples, self.device, len(samples[0].chosen) * self.views.size**2)
        results = map_frames(lambda part: self._frame_losses(part, progress), parts, check)
        losses = dict(results[0].losses)  # the first frame has the novel view's, too
        for result in results[1:]:
            losses |= {name: losses[name] + value for name, value in result.losses.items()}
        metas = [meta for result in results for meta in result.metas]

        # Regularization of the scene and score distillation: one backward pass, accumulated into .grad.
        terms = gaussian_regularization(scene.gaussians, self.regularizers)
        if (deformation := self._deformation_at(progress)) is not None:
            terms |= field_regularization(deformation.hexplane, self.regularizers)
        if self.guidance is not None:
            terms["guidance"], guidance_metas = self._guidance_loss(
                self.guidance, [sample.frame for sample in samples], progress, check
            )
            metas += guidance_metas
        if terms:
            torch.stack(list(terms.values())).sum().backward()
        for result in results:  # in the frames' order: the same sums for any number of threads
            scene.add_gradients(result.gradients)

        scene.optimizer.step()
        if config.densification.strategy is not None:
            self.statistics.observe(metas)
        scene.optimizer.zero_grad()
        self.step += 1
        if config.densification.is_due(self.step, config.steps):
            self._densify()
        return losses | terms

    def _sample_frames(self, progress: float) -> list[_FrameSample]:
        """Return the step's frames, distinct unless only one is available, with cameras and backgrounds."""
        batch = self.config.batch
        available = frames_at(progress, self.views.num_frames, batch.static_until, batch.spread_until)
        order = torch.randperm(len(available), generator=self.generator)[: batch.num_frames].tolist()
        frames = [available[index] for index in order]
        if len(available) == 1:  # the static phase: one frame, each time with other views and backgrounds
            frames *= batch.num_frames
        novel_poses: list[OrbitPose | None] = [None] * len(frames)
        if self.config.regularizers.need_novel_views:  # one render a step, of its first frame
            novel_poses[:1] = random_poses(1, self.info.input_pose, self.generator)
        samples = []
        for frame, novel_pose in zip(frames, novel_poses, strict=True):
            chosen = self._sample_views()
            backgrounds = torch.ones(len(chosen), 3)
            if batch.background == "random":
                backgrounds = torch.rand(len(chosen), 3, generator=self.generator)
            perceptual = None
            if self.perceptual is not None:
                perceptual = PerceptualLoss.sample(self.perceptual, len(chosen), self.generator)
            num_renders = len(chosen) * len(frames)
            samples.append(_FrameSample(frame, chosen, backgrounds, num_renders, novel_pose, perceptual))
        return samples

    def _sample_views(self) -> Tensor:
        """Return the indices [C] of random distinct views: the input video's first, if there is one."""
        count, has_reference = self.views.num_cameras, self.views.has_reference
        order = torch.randperm(count - has_reference, generator=self.generator)
        if not has_reference:
            return order[: self.config.batch.num_views + 1]
        return torch.cat([torch.zeros(1, dtype=torch.long), order[: self.config.batch.num_views] + 1])

    def _frame_losses(self, samples: Sequence[_FrameSample], progress: float) -> _FrameResult:
        """Render some frames of a step, and return their losses and the gradients.

        Gradients are returned and not accumulated: frames run on threads, and accumulating in the order in
        which threads finish would change the last bits from run to run.
        """
        size = size_at(progress, self.views.size, self.config.batch.sizes)
        frames, chosen = [sample.frame for sample in samples], torch.stack([one.chosen for one in samples])
        backgrounds = to_device(torch.cat([sample.backgrounds for sample in samples]), self.device)
        perceptual = [sample.perceptual for sample in samples if sample.perceptual is not None]
        perceptual_loss = PerceptualLoss.joined(perceptual) if perceptual else None
        gaussians = self._deformed(frames, progress)
        losses: dict[str, Tensor] = {}
        metas = []
        for batch in self.views.batches(frames, chosen, backgrounds, size):
            output, batch_metas = render_frames(
                gaussians,
                batch.cameras,
                batch.cameras_per_frame,
                backgrounds=batch.backgrounds,
                backend=self.backend,
            )
            metas += batch_metas
            terms = view_losses(output, batch, self.config.losses, progress, perceptual_loss)
            for name, value in terms.items():
                # A mean over the step's renders; the official code sums, see the weights of preset paper.
                share = value / samples[0].num_renders
                losses[name] = losses[name] + share if name in losses else share
        if (novel_pose := samples[0].novel_pose) is not None:
            # Its means2d stay out of the densification statistics: no image is compared with this render.
            camera = Cameras.from_poses([novel_pose], size, size).to(self.device)
            weights = self.config.regularizers
            with_depth = weights.depth_roughness > 0
            novel = render(gaussians[0], camera, with_depth=with_depth, backend=self.backend)
            for name, value in novel_view_regularization(novel, weights).items():
                losses[name] = value
        parameters, means2d = self.scene.parameters(), [meta["means2d"] for meta in metas]
        total = torch.stack(list(losses.values())).sum()
        gradients = torch.autograd.grad(total, [*parameters, *means2d], allow_unused=True)
        for centers, gradient in zip(means2d, gradients[len(parameters) :], strict=True):
            centers.grad = gradient  # autograd.grad does not set it; GradientStatistics.observe reads it
        detached = {name: value.detach() for name, value in losses.items()}
        return _FrameResult(detached, gradients[: len(parameters)], metas)

    def _guidance_loss(
        self, guidance: ScoreDistillation, frames: list[int], progress: float, check: Check
    ) -> tuple[Tensor, list[Mapping[str, Any]]]:
        """Return the weighted SDS loss of the step's frames from random poses, and the renders' metas."""
        config = self.config.guidance
        deformed = self._deformed(frames, progress)
        size = size_at(progress, self.views.size, self.config.batch.sizes)
        poses = random_poses(len(frames), self.info.input_pose, self.generator, config.max_elevation_deg)
        is_white = torch.rand(len(frames), 1, generator=self.generator) < 0.5  # official: white or black
        backgrounds = to_device(is_white.float(), self.device).expand(-1, 3)  # [B, 3]
        cameras = Cameras.from_poses(poses, size, size).to(self.device)
        check()
        output, metas = render_frames(
            deformed, cameras, [1] * len(frames), backgrounds=backgrounds, backend=self.backend
        )
        samples = guidance.sample(len(frames), progress, self.generator)
        loss = guidance.loss(output.images, frames, poses, samples, check)
        return config.weight * loss, metas

    def _deformation_at(self, progress: float) -> Deformation | None:
        """Return the deformation field once the scene moves, None during the static phase."""
        return self.scene.deformation if progress >= self.config.batch.static_until else None

    def _deformed(self, frames: list[int], progress: float) -> DeformedGaussians:
        """Return the Gaussians deformed to the frames' times; during the static phase the canonical ones."""
        model = GaussianModel4D(self.scene.gaussians, self._deformation_at(progress), self.info)
        return model.at(to_device(self.frame_times[frames], self.device))

    def _densify(self) -> None:
        """Clone, split and prune Gaussians; raises RuntimeError if none is left or values are not finite."""
        self._check_parameters()  # first: values that are not finite would be pruned
        densify(self.scene, self.statistics, self.config.densification, self.generator)
        self.statistics = GradientStatistics.zeros(len(self.scene.gaussians), self.device)
        if len(self.scene.gaussians) == 0:
            raise RuntimeError(
                f"step {self.step}: no Gaussian is left after pruning; lower min_opacity or raise "
                "max_scale of the densification."
            )

    def _check(self) -> str:
        """Raise RuntimeError unless losses and parameters are finite; returns the monitor's note."""
        losses = self.losses
        for name, value in losses.items():
            if not math.isfinite(value):
                raise RuntimeError(f"step {self.step}: the {name} loss is {value}; lower the learning rates.")
        self._check_parameters()  # they can diverge while culling keeps the losses finite
        if self.guidance is not None:
            self.guidance.check_overflows()
        return f"loss {losses['total']:.4f}, {len(self.scene.gaussians)} Gaussians"

    def _check_parameters(self) -> None:
        """Raise RuntimeError with the first kind of parameter that is not finite, if there is one."""
        groups = self.scene.optimizer.param_groups
        checks = [torch.stack([value.isfinite().all() for value in group["params"]]) for group in groups]
        is_finite = torch.stack([check.all() for check in checks]).tolist()  # a GPU is waited for once
        for group, is_group_finite in zip(groups, is_finite, strict=True):
            if not is_group_finite:
                raise RuntimeError(
                    f"step {self.step}: {group['name']} are no longer finite; lower their learning rate."
                )
