"""Gaussians stored frame by frame, in place of a deformation field: what files of other programs hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .gaussians import DeformedGaussians, Gaussians

_PADDING = {"log_scales": -10.0, "logit_opacities": -30.0}  # invisible; the other parameters are 0
_FREE_SAMPLES = 2**21  # Gaussians at all frames that may be padding
_MAX_PADDING = 16  # times of the Gaussians of all frames, where there are more
_SNAP = 0.01  # frames: a time that near to a frame is that frame's, whatever the rounding of float32 times


@dataclass(frozen=True, eq=False)
class GaussianFrames:
    """The Gaussians of F frames.

    With ``counts`` None, index i is the same Gaussian in all frames, which moves from frame to frame. With
    counts, the frames are unrelated: frame f has the first ``counts[f]`` Gaussians, and the others pad it.

    Attributes:
        means: [F, N, 3].
        log_scales: [F, N, 3].
        quats: [F, N, 4].
        logit_opacities: [F, N].
        sh0: [F, N, 1, 3].
        counts: Number of Gaussians of each frame, or None.
    """

    means: Tensor
    log_scales: Tensor
    quats: Tensor
    logit_opacities: Tensor
    sh0: Tensor
    counts: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check the shapes; raises ValueError with what was found."""
        num_frames = self.means.shape[0] if self.means.ndim else 0
        if num_frames < 1:
            raise ValueError("Gaussian frames: no frames; expected one or more.")
        for name, values in self.as_dict().items():
            if values.shape[:1] != (num_frames,):
                raise ValueError(
                    f"Gaussian frames: {name} has shape {list(values.shape)}; F is {num_frames}."
                )
        size = len(self[0])  # checks the shapes of N, too
        if self.counts is not None and (
            len(self.counts) != num_frames or not all(0 <= count <= size for count in self.counts)
        ):
            raise ValueError(f"Gaussian frames: counts do not fit {num_frames} frames of {size} Gaussians.")

    def __len__(self) -> int:
        """Return F."""
        return self.means.shape[0]

    def __getitem__(self, frame: int) -> Gaussians:
        """Return the Gaussians of a frame, with padding."""
        return Gaussians(**{name: values[frame] for name, values in self.as_dict().items()})

    def as_dict(self) -> dict[str, Tensor]:
        """Return the tensors by name."""
        return {name: getattr(self, name) for name in Gaussians.names()}

    def map(self, function: Callable[[Tensor], Tensor]) -> GaussianFrames:
        """Return frames with ``function`` applied to every tensor."""
        return GaussianFrames(
            **{name: function(values) for name, values in self.as_dict().items()}, counts=self.counts
        )

    def at(self, frame_times: Tensor) -> DeformedGaussians:
        """Return the Gaussians at T times [T] in [0, 1].

        Between two frames, Gaussians are interpolated linearly in their raw parameters. Unrelated frames are
        not: each time has the nearest frame's Gaussians.
        """
        position = frame_times.double() * (len(self) - 1)  # [T] in frames
        nearest = position.round().long().clamp(0, len(self) - 1)
        is_frame = (position - nearest).abs() < _SNAP
        if self.counts is not None:
            is_frame = torch.ones_like(is_frame)
        lower = torch.where(is_frame, nearest, position.floor().long().clamp(0, len(self) - 1))
        deformed = {name: values[lower] for name, values in self.as_dict().items()}
        if not is_frame.all():
            weights = torch.where(is_frame, 0.0, position - lower).float()  # [T] of the later frames
            upper = (lower + 1).clamp(max=len(self) - 1)
            later = {name: values[upper] for name, values in self.as_dict().items()}
            # q and -q are the same rotation: interpolate to the nearer one
            is_opposite = (deformed["quats"] * later["quats"]).sum(dim=-1, keepdim=True) < 0
            later["quats"] = torch.where(is_opposite, -later["quats"], later["quats"])
            deformed = {name: _mix(values, later[name], weights) for name, values in deformed.items()}
        counts = None if self.counts is None else tuple(self.counts[frame] for frame in lower.tolist())
        return DeformedGaussians(**deformed, counts=counts)


def stack_frames(frames: Sequence[Gaussians]) -> GaussianFrames:
    """Return frames with equal numbers of Gaussians, the same ones in the same order."""
    tensors = {name: _stack([getattr(one, name) for one in frames]) for name in Gaussians.names()}
    return GaussianFrames(**tensors, counts=None)


def pad_frames(frames: Sequence[Gaussians]) -> GaussianFrames:
    """Return unrelated frames, padded with invisible Gaussians to the largest number of a frame.

    Raises:
        ValueError: if the padding would take far more memory than the Gaussians.
    """
    counts = tuple(len(frame) for frame in frames)
    size = max(counts)
    if len(frames) * size > max(_FREE_SAMPLES, _MAX_PADDING * sum(counts)):
        raise ValueError(
            f"Gaussian frames: {min(counts)} to {size} Gaussians in {len(frames)} frames; expected numbers "
            "that differ less."
        )
    tensors = {}
    for name in Gaussians.names():
        first = getattr(frames[0], name)
        padded = first.new_full((len(frames), size, *first.shape[1:]), _PADDING.get(name, 0.0))
        for frame, count, row in zip(frames, counts, padded, strict=True):
            row[:count] = getattr(frame, name)
        tensors[name] = padded
    tensors["quats"][..., 0] += (tensors["quats"] == 0).all(dim=-1)  # no rotation
    return GaussianFrames(**tensors, counts=counts)


def _stack(values: list[Tensor]) -> Tensor:
    """Stack the values of F frames; those that are the same in all frames are stored once."""
    if all(torch.equal(value, values[0]) for value in values[1:]):
        return values[0].expand(len(values), *values[0].shape)
    return torch.stack(values)


def _mix(earlier: Tensor, later: Tensor, weights: Tensor) -> Tensor:
    """Interpolate values [T, ...] by the weights [T] of the later ones."""
    return torch.lerp(earlier, later, weights.reshape(-1, *[1] * (earlier.ndim - 1)))
