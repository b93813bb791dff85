"""Skeletons: joints that rotate over time, and their frames in the world at any time.

A toy's up is +y, its front +z, its left side +x. A joint's frame is its parent's, translated by the offset,
then rotated by the rest rotation and by its swings, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .shapes import Vector


@dataclass(frozen=True)
class Swing:
    """A rotation by bias + spin t + amplitude sin(2 pi (cycles t + phase)) degrees at a time t in [0, 1]."""

    axis: Vector
    amplitude_deg: float = 0.0
    cycles: float = 1.0
    phase: float = 0.0
    bias_deg: float = 0.0
    spin_deg: float = 0.0

    def curve(self) -> tuple[float, float, float, float, float]:
        """Return amplitude, cycles, phase, bias and spin; angles in radians."""
        amplitude, bias, spin = map(math.radians, (self.amplitude_deg, self.bias_deg, self.spin_deg))
        return amplitude, self.cycles, self.phase, bias, spin


@dataclass
class Joint:
    """A joint under construction.

    Attributes:
        role: ``"hip"``, ``"head"``, ...: selects the joint's motion.
        parent: Index of the parent joint; -1 for the root.
        offset: In the parent's frame.
        tilt_deg: Angles of the rest rotation, see ``tilt_rotations``.
        phase: Phase relative to the toy's motion, cycles.
        side: 1 on the toy's left and in the middle, -1 on its right.
        swings: Its rotations over time.
    """

    role: str
    parent: int
    offset: Vector
    tilt_deg: Vector = (0.0, 0.0, 0.0)
    phase: float = 0.0
    side: int = 1
    swings: list[Swing] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Skeleton:
    """J joints, parents first, with up to M swings each; float64.

    Attributes:
        parents: J indices, -1 for the root, which is joint 0.
        offsets: [J, 3] in the parent's frame.
        rests: [J, 3, 3] rest rotations.
        axes: [J, M, 3] unit axes of the swings.
        curves: [J, M, 5] amplitude, cycles, phase, bias, spin; radians and cycles.
        bounce: Height, world units, and number of the root's hops in t in [0, 1].
    """

    parents: tuple[int, ...]
    offsets: Tensor
    rests: Tensor
    axes: Tensor
    curves: Tensor
    bounce: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def from_joints(cls, joints: Sequence[Joint], bounce: tuple[float, float] = (0.0, 1.0)) -> Skeleton:
        """Return the joints as tensors; shorter lists of swings are padded with zero rotations."""
        most = max(1, *(len(joint.swings) for joint in joints))
        zero = Swing((0.0, 1.0, 0.0))
        padded = [[*joint.swings, *[zero] * (most - len(joint.swings))] for joint in joints]
        curves = [[swing.curve() for swing in swings] for swings in padded]
        axes = torch.tensor([[swing.axis for swing in swings] for swings in padded], dtype=torch.float64)
        return cls(
            parents=tuple(joint.parent for joint in joints),
            offsets=torch.tensor([joint.offset for joint in joints], dtype=torch.float64),
            rests=tilt_rotations([joint.tilt_deg for joint in joints]),
            axes=axes / axes.norm(dim=-1, keepdim=True),
            curves=torch.tensor(curves, dtype=torch.float64),
            bounce=bounce,
        )

    def scaled(self, scale: float, shift: Tensor) -> Skeleton:
        """Return the skeleton scaled about the origin, then translated by ``shift`` [3]."""
        offsets = self.offsets * scale
        offsets[0] += shift
        bounce = (self.bounce[0] * scale, self.bounce[1])
        return Skeleton(self.parents, offsets, self.rests, self.axes, self.curves, bounce)

    def frames(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """Return the joints' frames in the world at T times.

        Args:
            times: [T] in [0, 1].

        Returns:
            Rotations [J, T, 3, 3] and origins [J, T, 3], float64.
        """
        times = times.double()
        amplitude, cycles, phase, bias, spin = self.curves[..., None].unbind(2)  # [J, M, 1]
        angles = bias + spin * times + amplitude * (2 * math.pi * (cycles * times + phase)).sin()  # [J, M, T]
        turns = axis_rotations(self.axes[:, :, None].expand(*angles.shape, 3), angles)  # [J, M, T, 3, 3]
        local = self.rests[:, None]  # [J, 1, 3, 3]
        for swing in range(turns.shape[1]):
            local = local @ turns[:, swing]
        height, hops = self.bounce
        rise = torch.zeros(len(times), 3, dtype=torch.float64)
        rise[:, 1] = height * (math.pi * hops * times).sin().abs()  # arcs like those of a bouncing ball
        rotations, origins = [local[0]], [self.offsets[0] + rise]
        for joint in range(1, len(self.parents)):
            parent = self.parents[joint]
            origins.append(origins[parent] + rotations[parent] @ self.offsets[joint])
            rotations.append(rotations[parent] @ local[joint])
        return torch.stack(rotations), torch.stack(origins)


def axis_rotations(axes: Tensor, angles: Tensor) -> Tensor:
    """Return right-handed rotations about unit axes [..., 3] by angles [...] in radians: [..., 3, 3]."""
    x, y, z = axes.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*x.shape, 3, 3)
    sine, cosine = angles.sin()[..., None, None], angles.cos()[..., None, None]
    return torch.eye(3, dtype=axes.dtype) + sine * cross + (1 - cosine) * (cross @ cross)


def tilt_rotations(tilts_deg: Sequence[Vector]) -> Tensor:
    """Return Ry Rx Rz of K triples of angles about x, y and z, degrees: float64 [K, 3, 3]."""
    angles = torch.tensor(tilts_deg, dtype=torch.float64).deg2rad()  # [K, 3]
    axes = torch.eye(3, dtype=torch.float64).expand(len(angles), 3, 3)
    about_x, about_y, about_z = axis_rotations(axes, angles).unbind(1)
    return about_y @ about_x @ about_z


def rotations_from_y(directions: Sequence[Vector]) -> Tensor:
    """Return the shortest rotations that take +y to K directions (of any length but 0): float64 [K, 3, 3]."""
    units = torch.nn.functional.normalize(torch.tensor(directions, dtype=torch.float64), dim=-1)
    x, y, z = units.unbind(-1)
    level = torch.hypot(x, z)
    along_y = level < 1e-9  # any axis perpendicular to y
    axes = torch.stack([z, torch.zeros_like(y), -x], dim=-1) / level.masked_fill(along_y, 1.0)[:, None]
    axes[along_y] = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    return axis_rotations(axes, torch.atan2(level, y))
