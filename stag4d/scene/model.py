"""The 4D scene: canonical Gaussians, their deformation field, and metadata of the input video."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..geometry import OrbitPose, check_offsets, interpolate_offsets
from ..types import DEFAULT_FPS, MAX_FPS, MAX_FRAMES, frame_times
from .deformation import Deformation
from .frames import GaussianFrames
from .gaussians import DeformedGaussians, Gaussians


@dataclass(frozen=True, kw_only=True)
class SceneInfo:
    """Metadata of a scene.

    Attributes:
        num_frames: Frames of the input video.
        fps: Frame rate of the input video, frames per second.
        input_pose: Camera of the input video.
        settings: Settings of the fit, JSON values.
        offsets: [F, 3] translation of the object in the world at each frame, on the CPU, where the crop of
            the video followed it; None if the crop did not move.
    """

    num_frames: int
    fps: float = DEFAULT_FPS
    input_pose: OrbitPose = field(default_factory=lambda: OrbitPose(azimuth_deg=0.0))
    settings: Mapping[str, Any] = field(default_factory=dict)
    offsets: Tensor | None = field(default=None, compare=False)  # tensors do not compare to one bool

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if not 1 <= self.num_frames <= MAX_FRAMES:
            raise ValueError(f"scene: {self.num_frames} frames; expected at least one, at most {MAX_FRAMES}.")
        if not 0 < self.fps < MAX_FPS:
            raise ValueError(f"scene: {self.fps} frames a second; expected above 0 and below {MAX_FPS:g}.")
        if self.offsets is not None:
            check_offsets(self.offsets, self.num_frames, "scene")


class GaussianModel4D:
    """A dynamic scene: canonical Gaussians and a deformation field, or the Gaussians of each frame.

    Args:
        gaussians: The canonical Gaussians.
        deformation: Field that moves them; None for a static scene, or with ``frames``.
        info: Metadata.
        frames: Stored frames, which replace the field; ``gaussians`` are then those of frame 0.

    Raises:
        ValueError: if there are both a field and frames, another number of frames than in ``info``, or of
            Gaussians than in ``gaussians``, or both frames and offsets.
    """

    def __init__(
        self,
        gaussians: Gaussians,
        deformation: Deformation | None,
        info: SceneInfo,
        frames: GaussianFrames | None = None,
    ) -> None:
        if frames is not None and (deformation is not None or len(frames) != info.num_frames):
            raise ValueError(
                f"scene: {len(frames)} stored frames; expected {info.num_frames} and no deformation field."
            )
        if frames is not None and info.offsets is not None:
            raise ValueError("scene: stored frames with offsets; expected frames in world coordinates.")
        if frames is not None and len(gaussians) != len(frames[0]):
            raise ValueError(
                f"scene: {len(gaussians)} Gaussians and frames of {len(frames[0])}; expected equal numbers."
            )
        self.gaussians = gaussians
        self.deformation = deformation
        self.info = info
        self.frames = frames

    @classmethod
    def from_frames(cls, frames: GaussianFrames, info: SceneInfo) -> GaussianModel4D:
        """Return the scene of stored frames."""
        return cls(frames[0].map(torch.clone), None, info, frames)

    def at(self, frame_times: Tensor) -> DeformedGaussians:
        """Return the Gaussians at T times.

        Args:
            frame_times: [T] in [0, 1], on the scene's device.

        Returns:
            Raw parameters, differentiable with respect to the canonical ones and to the field's weights.
        """
        if self.frames is not None:
            return self.frames.at(frame_times)
        canonical, count = self.gaussians, len(frame_times)
        means, log_scales, quats = (  # views without copies: static parameters are the same at all times
            value.expand(count, -1, -1) for value in (canonical.means, canonical.log_scales, canonical.quats)
        )
        if self.deformation is not None:
            offsets = self.deformation(canonical.means, frame_times)
            # added before the activations: exp turns the sum of log scales into a factor, and quaternions are
            # normalized where they are used
            means, quats = means + offsets.means, quats + offsets.quats
            if offsets.log_scales is not None:
                log_scales = log_scales + offsets.log_scales
        if self.info.offsets is not None:
            means = means + interpolate_offsets(self.info.offsets, frame_times)[:, None]  # [T, N, 3]
        return DeformedGaussians(means, log_scales, quats, canonical.logit_opacities, canonical.sh0)

    def object_centered(self) -> GaussianModel4D:
        """Return the scene without offsets, as the cameras that move with the object see it."""
        if self.info.offsets is None:
            return self
        return GaussianModel4D(self.gaussians, self.deformation, replace(self.info, offsets=None))

    def start(self) -> Gaussians:
        """Return the Gaussians at the middle frame, from which another fit can start: copies on the CPU.

        They are object-centered, as the views of a fit are.

        Raises:
            ValueError: if the Gaussians of one frame are not those of the next, so that they do not move.
        """
        if self.frames is not None and self.frames.counts is not None:
            raise ValueError(
                "scene: its frames have different Gaussians, so it can be played and exported but not "
                "fitted; expected a scene from a fit, or frames with the same Gaussians in the same order."
            )
        with torch.no_grad():
            middle = self.object_centered().at(self.frame_times[[self.info.num_frames // 2]])[0]
            return middle.map(lambda value: value.cpu().clone())

    @property
    def frame_times(self) -> Tensor:
        """Return the times of the video's F frames, [F], on the scene's device."""
        return frame_times(self.info.num_frames).to(self.device)

    @property
    def device(self) -> torch.device:
        """Return the device of the Gaussians."""
        return self.gaussians.means.device

    def to(self, device: torch.device | str) -> GaussianModel4D:
        """Return a copy of the scene on a device, without gradients."""
        moved = self.gaussians.map(lambda value: value.detach().to(device, copy=True))
        field = self.deformation
        if field is not None:
            field = copy.deepcopy(field).to(device).requires_grad_(False)
        frames = None if self.frames is None else self.frames.map(lambda value: value.detach().to(device))
        return GaussianModel4D(moved, field, self.info, frames)
