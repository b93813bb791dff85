"""Materials: unshaded colors of a solid's points, uniform or in a pattern fixed in the solid's own frame."""

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
SPOT_RADIUS = 0.36  # of a cell


@dataclass(frozen=True)
class Material:
    """Colors of one solid.

    Attributes:
        color: RGB 0..1.
        second: RGB 0..1 of the pattern.
        pattern: Selects the points that have the color ``second``.
        axis: Unit vector in the solid's frame along which stripes and two tones alternate.
        cell: Length of one period, in the toy's units before it is scaled.
        phase: Offset of the pattern, periods.
    """

    color: Vector
    second: Vector = (0.0, 0.0, 0.0)
    pattern: Pattern = "flat"
    axis: Vector = (0.0, 1.0, 0.0)
    cell: float = 0.3
    phase: float = 0.0


@dataclass(frozen=True, eq=False)
class Materials:
    """The materials of P solids: patterns [P], colors [P, 2, 3], axes [P, 3], cells [P] and phases [P]."""

    patterns: Tensor
    colors: Tensor
    axes: Tensor
    cells: Tensor
    phases: Tensor

    @classmethod
    def from_list(cls, materials: Sequence[Material], scale: float = 1.0) -> Materials:
        """Return the materials of P solids, with the periods of their patterns multiplied by ``scale``."""
        return cls(
            patterns=torch.tensor([PATTERNS.index(material.pattern) for material in materials]),
            colors=torch.tensor([[material.color, material.second] for material in materials]),
            axes=torch.tensor([material.axis for material in materials]),
            cells=torch.tensor([material.cell * scale for material in materials]),
            phases=torch.tensor([material.phase for material in materials]),
        )

    def colors_at(self, ids: Tensor, points: Tensor) -> Tensor:
        """Return the colors of points, [K, 3].

        Args:
            ids: [K] indices of the solids.
            points: [K, 3] in the frames of these solids.
        """
        cells, phases = self.cells[ids][:, None], self.phases[ids][:, None]
        along = (points * self.axes[ids]).sum(-1, keepdim=True) / cells + phases  # [K, 1]
        lattice = points / cells + phases  # [K, 3]
        flat = torch.zeros_like(along, dtype=torch.bool)
        stripes = along.remainder(1) < 0.5
        checks = (2 * lattice).floor().sum(-1, keepdim=True).remainder(2) < 0.5
        spots = (lattice.remainder(1) - 0.5).norm(dim=-1, keepdim=True) < SPOT_RADIUS
        masks = torch.cat([flat, stripes, checks, spots, along > 0], dim=1)  # [K, 5], as in PATTERNS
        chosen = masks.gather(1, self.patterns[ids][:, None])[:, 0].long()  # [K]
        return self.colors[ids, chosen]


@dataclass(frozen=True)
class Palette:
    """The materials of one toy, in contrasting saturated colors."""

    body: Material
    head: Material
    limb: Material
    accent: Material
    dark: Material
    white: Material = Material((0.97, 0.97, 0.97))

    @classmethod
    def sample(cls, random: SeededRandom) -> Palette:
        """Return random materials of three contrasting hues; the body's always has a pattern."""
        hue = random.uniform(0, 1)
        bright_first = random.chance(0.5)
        first = _saturated(hue, random, bright_first)
        second = _saturated(hue + random.uniform(0.3, 0.7), random, not bright_first)
        third = _saturated(hue + random.pick((0.2, 0.8)), random, random.chance(0.5))
        body_pattern = random.pick(PATTERNS[1:])
        head_pattern = random.pick(("flat", *PATTERNS))
        limb_pattern: Pattern = random.pick(("flat", "stripes", "two_tone"))
        return cls(
            body=_material(first, second, body_pattern, random, (0.4, 0.62)),
            head=_material(random.pick((first, third)), second, head_pattern, random, (0.3, 0.45)),
            limb=_material(second, random.pick((first, third)), limb_pattern, random, (0.24, 0.36)),
            accent=Material(third),
            dark=Material(_saturated(hue, random, bright=False, value=0.3)),
        )


def _material(
    color: Vector, second: Vector, pattern: Pattern, random: SeededRandom, cells: tuple[float, float]
) -> Material:
    """Return a material with a random axis, a random period in the range ``cells`` and a random phase."""
    axis = random.pick(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.6, 0.8)))
    phase = random.uniform(-0.2, 0.2) if pattern == "two_tone" else random.uniform(0, 1)
    return Material(color, second, pattern, axis, random.uniform(*cells), phase)


def _saturated(hue: float, random: SeededRandom, bright: bool, value: float | None = None) -> Vector:
    """Return a saturated RGB color of a hue (turns), with a random bright or dark value by default."""
    random_value = random.uniform(0.85, 1.0) if bright else random.uniform(0.55, 0.8)
    return colorsys.hsv_to_rgb(hue % 1, random.uniform(0.4, 0.7), random_value if value is None else value)
