"""Builder of a toy: joints and solids are added one by one, then converted to tensors."""

from __future__ import annotations

import math

import torch

from .materials import Material
from .seeded_random import SeededRandom
from .shapes import BOX, ELLIPSOID, FRUSTUM, ROUNDED_CONE, Solids, Vector
from .skeleton import Joint, rotations_from_y, tilt_rotations


class ToyBuilder:
    """The joints, solids (in their joints' frames) and materials of a toy, in the order of their addition.

    Args:
        random: Random generator of the body plan.
    """

    def __init__(self, random: SeededRandom) -> None:
        self.random = random
        self.joints: list[Joint] = []
        self.materials: list[Material] = []
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
        self, joint: int, center: Vector, half: Vector, material: Material, tilt_deg: Vector = (0, 0, 0)
    ) -> None:
        """Add an ellipsoid with the half axes ``half``."""
        self._add(ELLIPSOID, joint, center, half, material, tilt_deg=tilt_deg)

    def ball(self, joint: int, center: Vector, radius: float, material: Material) -> None:
        """Add a sphere."""
        self.ellipsoid(joint, center, (radius, radius, radius), material)

    def box(self, joint: int, center: Vector, half: Vector, material: Material) -> None:
        """Add a box with the half side lengths ``half``."""
        self._add(BOX, joint, center, half, material)

    def limb(
        self, joint: int, start: Vector, end: Vector, radii: tuple[float, float], material: Material
    ) -> None:
        """Add the convex hull of two spheres, whose centers must be farther apart than their radii differ."""
        self._add_between(ROUNDED_CONE, joint, start, end, radii, material)

    def frustum(
        self, joint: int, start: Vector, end: Vector, radii: tuple[float, float], material: Material
    ) -> None:
        """Add a flat-ended cone or cylinder with the radii at its start and end."""
        self._add_between(FRUSTUM, joint, start, end, radii, material)

    def solids(self) -> Solids:
        """Return the P solids, each in its joint's frame; float64."""
        return Solids(
            kinds=torch.tensor(self._kinds),
            sizes=torch.tensor(self._sizes, dtype=torch.float64),
            rotations=tilt_rotations(self._tilts_deg) @ rotations_from_y(self._axes),
            centers=torch.tensor(self._centers, dtype=torch.float64),
        )

    def _add_between(
        self,
        kind: int,
        joint: int,
        start: Vector,
        end: Vector,
        radii: tuple[float, float],
        material: Material,
    ) -> None:
        axis = (end[0] - start[0], end[1] - start[1], end[2] - start[2])
        middle = (start[0] + axis[0] / 2, start[1] + axis[1] / 2, start[2] + axis[2] / 2)
        sizes = (radii[0], radii[1], math.hypot(*axis) / 2)
        self._add(kind, joint, middle, sizes, material, axis=axis)

    def _add(
        self,
        kind: int,
        joint: int,
        center: Vector,
        sizes: Vector,
        material: Material,
        axis: Vector = (0, 1, 0),
        tilt_deg: Vector = (0, 0, 0),
    ) -> None:
        self._kinds.append(kind)
        self._sizes.append(sizes)
        self._axes.append(axis)
        self._tilts_deg.append(tilt_deg)
        self._centers.append(center)
        self.joint_of_solid.append(joint)
        self.materials.append(material)
