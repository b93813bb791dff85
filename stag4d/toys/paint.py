"""Colors of a solid's points: flat, or a hard-edged pattern fixed in the solid's own frame; never shaded."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .seeded_random import SeededRandom
from .shapes import Vector

Pattern = Literal["flat", "stripes", "checks", "spots", "two_tone"]

PATTERNS: tuple[Pattern, ...] = ("flat", "stripes", "checks", "spots", "two_tone")
_SPOT_RADIUS = 0.36  # of a cell


@dataclass(frozen=True)
class Coat:
    """How one solid is painted.

    Attributes:
        color: RGB 0..1.
        second: RGB 0..1 of the pattern.
        pattern: Which points take ``second``.
        axis: Unit vector in the solid's frame, across the stripes or the two tones.
        cell: Length of one period, world units (the toy's own before it is scaled).
        phase: Shift of the pattern, periods.
    """

    color: Vector
    second: Vector = (0.0, 0.0, 0.0)
    pattern: Pattern = "flat"
    axis: Vector = (0.0, 1.0, 0.0)
    cell: float = 0.3
    phase: float = 0.0


@dataclass(frozen=True, eq=False)
class Paint:
    """The coats of P solids: patterns [P], colors [P, 2, 3], axes [P, 3], cells [P] and phases [P]."""

    patterns: Tensor
    colors: Tensor
    axes: Tensor
    cells: Tensor
    phases: Tensor

    @classmethod
    def from_coats(cls, coats: Sequence[Coat], scale: float = 1.0) -> Paint:
        """Return the coats of P solids, their patterns enlarged by ``scale``."""
        return cls(
            patterns=torch.tensor([PATTERNS.index(coat.pattern) for coat in coats]),
            colors=torch.tensor([[coat.color, coat.second] for coat in coats]),
            axes=torch.tensor([coat.axis for coat in coats]),
            cells=torch.tensor([coat.cell * scale for coat in coats]),
            phases=torch.tensor([coat.phase for coat in coats]),
        )

    def colors_at(self, ids: Tensor, points: Tensor) -> Tensor:
        """Return the colors of points, [K, 3].

        Args:
            ids: [K] which solid.
            points: [K, 3] in that solid's frame.
        """
        cells, phases = self.cells[ids][:, None], self.phases[ids][:, None]
        along = (points * self.axes[ids]).sum(-1, keepdim=True) / cells + phases  # [K, 1]
        lattice = points / cells + phases  # [K, 3]
        flat = torch.zeros_like(along, dtype=torch.bool)
        stripes = along.remainder(1) < 0.5
        checks = (2 * lattice).floor().sum(-1, keepdim=True).remainder(2) < 0.5
        spots = (lattice.remainder(1) - 0.5).norm(dim=-1, keepdim=True) < _SPOT_RADIUS
        masks = torch.cat([flat, stripes, checks, spots, along > 0], dim=1)  # [K, 5], as in PATTERNS
        chosen = masks.gather(1, self.patterns[ids][:, None])[:, 0].long()  # [K]
        return self.colors[ids, chosen]


@dataclass(frozen=True)
class Wardrobe:
    """The few coats that one toy is dressed in: contrasting, saturated, no two toys alike."""

    body: Coat
    head: Coat
    limb: Coat
    accent: Coat
    dark: Coat
    white: Coat = Coat((0.97, 0.97, 0.97))

    @classmethod
    def draw(cls, random: SeededRandom) -> Wardrobe:
        """Return coats of three contrasting hues, the body's always patterned."""
        hue = random.uniform(0, 1)
        bright_first = random.chance(0.5)
        first = _saturated(hue, random, bright_first)
        second = _saturated(hue + random.uniform(0.3, 0.7), random, not bright_first)
        third = _saturated(hue + random.pick((0.2, 0.8)), random, random.chance(0.5))
        body_pattern = random.pick(PATTERNS[1:])
        head_pattern = random.pick(("flat", *PATTERNS))
        limb_pattern: Pattern = random.pick(("flat", "stripes", "two_tone"))
        return cls(
            body=_coat(first, second, body_pattern, random, (0.4, 0.62)),
            head=_coat(random.pick((first, third)), second, head_pattern, random, (0.3, 0.45)),
            limb=_coat(second, random.pick((first, third)), limb_pattern, random, (0.24, 0.36)),
            accent=Coat(third),
            dark=Coat(_saturated(hue, random, bright=False, value=0.3)),
        )


def _coat(
    color: Vector, second: Vector, pattern: Pattern, random: SeededRandom, cells: tuple[float, float]
) -> Coat:
    """Return a coat with an axis, a period in the range ``cells`` and a phase of chance."""
    axis = random.pick(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.6, 0.8)))
    phase = random.uniform(-0.2, 0.2) if pattern == "two_tone" else random.uniform(0, 1)
    return Coat(color, second, pattern, axis, random.uniform(*cells), phase)


def _saturated(hue: float, random: SeededRandom, bright: bool, value: float | None = None) -> Vector:
    """Return a saturated RGB color of a hue (turns), bright or rather dark unless its value is given."""
    drawn = random.uniform(0.85, 1.0) if bright else random.uniform(0.55, 0.8)
    return colorsys.hsv_to_rgb(hue % 1, random.uniform(0.4, 0.7), drawn if value is None else value)
