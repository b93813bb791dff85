"""Raw parameters of N Gaussians, at one time or T, and their activated values, which the rasterizer takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

SH_C0 = 0.28209479177387814  # 1 / (2 sqrt(pi)), the constant spherical harmonic
# Of a number, and of a standard deviation in world units. Beyond it a file is damaged, or a value not what it
# is taken for; squares stay finite in float32.
MAX_MAGNITUDE = 1e9
_MAX_LOG_SCALE = math.log(MAX_MAGNITUDE)


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Raw parameters of N Gaussians; every tensor can be optimized without constraints.

    Attributes:
        means: [N, 3] centers, world units.
        log_scales: [N, 3] natural logarithms of the standard deviations along the local axes.
        quats: [N, 4] wxyz, not necessarily normalized.
        logit_opacities: [N] before the sigmoid.
        sh0: [N, 1, 3] constant spherical-harmonic coefficients; color = 0.5 + SH_C0 * sh0.
    """

    means: Tensor
    log_scales: Tensor
    quats: Tensor
    logit_opacities: Tensor
    sh0: Tensor

    def __post_init__(self) -> None:
        """Check the shapes; raises ValueError with the shape found."""
        count = self.means.shape[0] if self.means.ndim else 0
        expected = {"means": (count, 3), "log_scales": (count, 3), "quats": (count, 4), "sh0": (count, 1, 3)}
        expected["logit_opacities"] = (count,)
        for name, shape in expected.items():
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise ValueError(f"Gaussians: {name} has shape {list(found)}; expected {list(shape)}.")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the parameters' names in declaration order."""
        return tuple(item.name for item in fields(cls))

    def __len__(self) -> int:
        """Return N."""
        return self.means.shape[0]

    @property
    def scales(self) -> Tensor:
        """Return standard deviations, world units, [N, 3]."""
        return self.log_scales.exp()

    @property
    def opacities(self) -> Tensor:
        """Return opacities in (0, 1), [N]."""
        return self.logit_opacities.sigmoid()

    @property
    def colors(self) -> Tensor:
        """Return RGB of the constant spherical harmonic, clamped at 0 from below, [N, 3]."""
        return (0.5 + SH_C0 * self.sh0[:, 0]).clamp_min(0.0)

    def map(self, function: Callable[[Tensor], Tensor]) -> Gaussians:
        """Return Gaussians with ``function`` applied to every parameter."""
        return Gaussians(**{name: function(getattr(self, name)) for name in self.names()})

    def as_dict(self) -> dict[str, Tensor]:
        """Return the parameters by name."""
        return {name: getattr(self, name) for name in self.names()}


def valid_rows(gaussians: Gaussians) -> Tensor:
    """Return for each of N Gaussians whether its values are finite and small enough to render, [N] bool."""
    is_valid = torch.ones(len(gaussians), dtype=torch.bool, device=gaussians.means.device)
    for name, value in gaussians.as_dict().items():
        rows = value.reshape(len(value), math.prod(value.shape[1:]))
        is_valid &= (rows.abs() <= MAX_MAGNITUDE).all(dim=1)  # False for NaN
        is_valid &= (rows <= _limit(name)).all(dim=1)
    return is_valid


def check_values(parameters: Mapping[str, Tensor], subject: str) -> None:
    """Raise ValueError unless values are those of ``valid_rows``.

    Args:
        parameters: Raw parameters by name, of any shape.
        subject: Begins the message.
    """
    for name, value in parameters.items():
        if not value.isfinite().all():
            raise ValueError(f"{subject}: {name} are not finite; every value must be.")
        for values, limit in ((value, _limit(name)), (-value, MAX_MAGNITUDE)):
            largest = float(values.amax()) if values.numel() else 0.0
            if largest > limit:
                raise ValueError(f"{subject}: {name} up to {largest:g}; expected at most {limit:g}.")


def _limit(name: str) -> float:
    """Return the largest value of a raw parameter."""
    return _MAX_LOG_SCALE if name == "log_scales" else MAX_MAGNITUDE


@dataclass(frozen=True, eq=False)
class DeformedGaussians:
    """The Gaussians at T times: parameters that change over time have a leading T, static ones have not.

    Attributes:
        means: [T, N, 3].
        log_scales: [T, N, 3].
        quats: [T, N, 4].
        logit_opacities: [N] or [T, N].
        sh0: [N, 1, 3] or [T, N, 1, 3].
        counts: Number of Gaussians at each time, at most N; None if all N are there at all times.
    """

    means: Tensor
    log_scales: Tensor
    quats: Tensor
    logit_opacities: Tensor
    sh0: Tensor
    counts: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """Return T."""
        return self.means.shape[0]

    def __getitem__(self, index: int) -> Gaussians:
        """Return the Gaussians of one of the T times, without padding."""
        opacities = self.logit_opacities if self.logit_opacities.ndim == 1 else self.logit_opacities[index]
        sh0 = self.sh0 if self.sh0.ndim == 3 else self.sh0[index]
        deformed = Gaussians(self.means[index], self.log_scales[index], self.quats[index], opacities, sh0)
        if self.counts is None:
            return deformed
        count = self.counts[index]
        return deformed.map(lambda values: values[:count])


def logit(probabilities: Tensor) -> Tensor:
    """Return the inverse sigmoid of values strictly between 0 and 1."""
    return torch.log(probabilities / (1 - probabilities))
