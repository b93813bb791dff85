"""The drawing board of a toy: joints and solids are added one by one, then turned into tensors."""

from __future__ import annotations

import math

import torch

from .paint import Coat
from .seeded_random import SeededRandom
from .shapes import BOX, ELLIPSOID, FRUSTUM, ROUNDED_CONE, Solids, Vector
from .skeleton import Joint, rotations_from_y, tilt_rotations


class Sketch:
    """Joints, solids in their joints' frames, and coats, in the order in which they were added."""

    def __init__(self, random: SeededRandom) -> None:
        self.random = random
        self.joints: list[Joint] = []
        self.coats: list[Coat] = []
        self.joint_of_solid: list[int] = []
        self._kinds: list[int] = []
        self._sizes: list[Vector] = []
        self._axes: list[Vector] = []  # each solid's y axis, before its tilt
        self._tilts_deg: list[Vector] = []
        self._centers: list[Vector] = []

    def joint(
        self,
        role: str,
        parent: int,
        offset: Vector,
        tilt_deg: Vector = (0, 0, 0),
        phase: float = 0.0,
        side: int = 1,
    ) -> int:
        """Add a joint and return its index; see ``Joint``."""
        self.joints.append(Joint(role, parent, offset, tilt_deg, phase, side))
        return len(self.joints) - 1

    def ellipsoid(
        self, joint: int, center: Vector, half: Vector, coat: Coat, tilt_deg: Vector = (0, 0, 0)
    ) -> None:
        """Add an ellipsoid by its half axes."""
        self._add(ELLIPSOID, joint, center, half, coat, tilt_deg=tilt_deg)

    def ball(self, joint: int, center: Vector, radius: float, coat: Coat) -> None:
        """Add a sphere."""
        self.ellipsoid(joint, center, (radius, radius, radius), coat)

    def box(self, joint: int, center: Vector, half: Vector, coat: Coat) -> None:
        """Add a box by its half sides."""
        self._add(BOX, joint, center, half, coat)

    def limb(self, joint: int, start: Vector, end: Vector, radii: tuple[float, float], coat: Coat) -> None:
        """Add the hull of two spheres, which must be farther apart than their radii differ."""
        self._add_between(ROUNDED_CONE, joint, start, end, radii, coat)

    def frustum(self, joint: int, start: Vector, end: Vector, radii: tuple[float, float], coat: Coat) -> None:
        """Add a flat-ended cone or cylinder."""
        self._add_between(FRUSTUM, joint, start, end, radii, coat)

    def solids(self) -> Solids:
        """Return the solids, each in its joint's frame; float64."""
        return Solids(
            kinds=torch.tensor(self._kinds),
            sizes=torch.tensor(self._sizes, dtype=torch.float64),
            rotations=tilt_rotations(self._tilts_deg) @ rotations_from_y(self._axes),
            centers=torch.tensor(self._centers, dtype=torch.float64),
        )

    def _add_between(
        self, kind: int, joint: int, start: Vector, end: Vector, radii: tuple[float, float], coat: Coat
    ) -> None:
        axis = (end[0] - start[0], end[1] - start[1], end[2] - start[2])
        middle = (start[0] + axis[0] / 2, start[1] + axis[1] / 2, start[2] + axis[2] / 2)
        sizes = (radii[0], radii[1], math.hypot(*axis) / 2)
        self._add(kind, joint, middle, sizes, coat, axis=axis)

    def _add(
        self,
        kind: int,
        joint: int,
        center: Vector,
        sizes: Vector,
        coat: Coat,
        axis: Vector = (0, 1, 0),
        tilt_deg: Vector = (0, 0, 0),
    ) -> None:
        self._kinds.append(kind)
        self._sizes.append(sizes)
        self._axes.append(axis)
        self._tilts_deg.append(tilt_deg)
        self._centers.append(center)
        self.joint_of_solid.append(joint)
        self.coats.append(coat)
