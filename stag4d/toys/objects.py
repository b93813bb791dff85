"""Toy objects: body plan, materials and motion sampled from a seed, and scaled to the default camera.

A toy stays within a ball of radius ``BOUNDING_RADIUS`` around the origin at all times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from .bodies import FAST_MOTIONS_OF_PLAN, PLANS
from .builder import ToyBuilder
from .characters import CHARACTERS, dress
from .materials import Materials, Palette
from .motions import animate
from .seeded_random import SeededRandom
from .shapes import Solids
from .skeleton import Skeleton

# World units; seen from distance 2, a ball of this radius covers 0.89 of the default image's half extent.
BOUNDING_RADIUS = 0.75

ANY_CHARACTER = "character"  # plan of toys whose character is sampled from the seed

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

PLAN_NAMES = (*PLANS, ANY_CHARACTER, *CHARACTERS)
"""All names that ``toy_object`` takes as plan."""

_MAX_SEED = 2**32  # limit of the random generator
_FILL = 0.985  # of BOUNDING_RADIUS; the margin is for points and times between the sampled ones
_MAX_CYCLES = 40  # more than the frames of a video of 81 could show
_CHECK_TIMES = 25  # per cycle of the motion
_CHECK_DIRECTIONS = 32
_CENTERING_STEPS = 40


@dataclass(frozen=True, eq=False)
class ToyObject:
    """One animated toy.

    Attributes:
        plan: Name of its body plan or character.
        loops: Whether it looks the same at times 0 and 1.
        skeleton: J joints and their motion.
        solids: P solids in their joints' frames, float64.
        joint_of_solid: [P] index of each solid's joint.
        materials: Materials of the P solids.
    """

    plan: str
    loops: bool
    skeleton: Skeleton
    solids: Solids
    joint_of_solid: Tensor
    materials: Materials

    def pose(self, frame_time: float) -> Solids:
        """Return the solids in the world at a time in [0, 1], float32; raises ValueError for other times."""
        if not 0.0 <= frame_time <= 1.0:
            raise ValueError(f"toy: frame time is {frame_time}; expected 0 to 1.")
        rotations, centers = self._world(torch.tensor([frame_time]))
        return Solids(self.solids.kinds, self.solids.sizes.float(), rotations[0].float(), centers[0].float())

    def _world(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """Return rotations [T, P, 3, 3] and centers [T, P, 3] of the solids in the world, float64."""
        rotations, origins = self.skeleton.frames(times)
        rotations = rotations[self.joint_of_solid].transpose(0, 1)  # [T, P, 3, 3]
        origins = origins[self.joint_of_solid].transpose(0, 1)  # [T, P, 3]
        centers = origins + (rotations @ self.solids.centers[..., None])[..., 0]
        return rotations @ self.solids.rotations, centers

    def surface_points(self, times: Tensor) -> Tensor:
        """Return D support points of each solid in the world at times [T], float64 [T, P, D, 3]."""
        rotations, centers = self._world(times)
        local = self.solids.support_points(_sphere_directions(_CHECK_DIRECTIONS))  # [P, D, 3]
        return local @ rotations.transpose(-1, -2) + centers[:, :, None]


def toy_object(seed: int, plan: str | None = None, fast_cycles: float | None = None) -> ToyObject:
    """Return the toy of a seed; the same seed gives the same toy.

    Args:
        seed: 0 to 2**32 - 1; ``toy_seed`` gives the seeds of a split.
        plan: Name of a body plan or character, or ``ANY_CHARACTER``; by default a body plan is sampled.
        fast_cycles: Cycles of running, jumping, spinning, flapping or swimming from time 0 to 1; by default
            the motion is calm, with at most one cycle. Shape and colors are the same.

    Raises:
        ValueError: if the seed or the number of cycles is out of range, or the plan unknown.
    """
    if not 0 <= seed < _MAX_SEED:
        raise ValueError(f"toy: seed is {seed}; expected 0 to {_MAX_SEED - 1}.")
    if plan is not None and plan not in PLAN_NAMES:
        raise ValueError(f"toy: unknown body plan {plan!r}; expected one of {list(PLAN_NAMES)}.")
    if fast_cycles is not None and plan is not None and plan not in PLANS:
        raise ValueError(f"toy: {plan!r} has no fast motion; expected one of {list(PLANS)}.")
    if fast_cycles is not None and not 0 < fast_cycles <= _MAX_CYCLES:
        raise ValueError(f"toy: {fast_cycles} cycles; expected above 0, at most {_MAX_CYCLES}.")
    random = SeededRandom(seed)
    names = tuple(PLANS) if plan is None or plan in PLANS else tuple(CHARACTERS)
    random_plan = random.pick(names)  # sampled in any case, so that the following samples are the same
    if plan is None or plan == ANY_CHARACTER:
        plan = random_plan
    build, motions = PLANS[plan] if plan in PLANS else CHARACTERS[plan]
    builder = ToyBuilder(random)
    build(builder, Palette.sample(random) if plan in PLANS else dress(random))
    if fast_cycles is not None:
        motions = FAST_MOTIONS_OF_PLAN[plan]
    loops, bounce = animate(builder.joints, random.pick(motions), random, fast_cycles)
    toy = ToyObject(
        plan=plan,
        loops=loops,
        skeleton=Skeleton.from_joints(builder.joints, bounce),
        solids=builder.solids(),
        joint_of_solid=torch.tensor(builder.joint_of_solid),
        materials=Materials.from_list(builder.materials),
    )
    return _fitted(toy, builder, _CHECK_TIMES * math.ceil(fast_cycles or 1))


def toy_seed(split: Split, index: int) -> int:
    """Return the seed of a toy of a split: 3 index + 0, 1 or 2 for train, val or test.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``; no two splits share a seed.
        index: Number of the toy within the split, from 0.

    Raises:
        ValueError: if the split is unknown or the index out of range.
    """
    if split not in SPLITS:
        raise ValueError(f"toy: unknown split {split!r}; expected one of {list(SPLITS)}.")
    if not 0 <= index < _MAX_SEED // 3:
        raise ValueError(f"toy: index is {index}; expected 0 to {_MAX_SEED // 3 - 1}.")
    return 3 * index + SPLITS.index(split)


def _fitted(toy: ToyObject, builder: ToyBuilder, num_times: int) -> ToyObject:
    """Return the toy moved and scaled into the ball of radius ``BOUNDING_RADIUS`` around the origin."""
    points = toy.surface_points(torch.linspace(0, 1, num_times)).reshape(-1, 3).float()
    squares = (points**2).sum(-1)
    center = (points.amin(0) + points.amax(0)) / 2
    # The smallest enclosing ball (Badoiu and Clarkson, 2003): steps of 1 / i towards the farthest point.
    for step in range(1, _CENTERING_STEPS + 1):
        farthest = points[(squares - 2 * points @ center).argmax()]
        center = center + (farthest - center) / (step + 1)
    scale = _FILL * BOUNDING_RADIUS / (points - center).norm(dim=-1).max().item()
    solids = replace(toy.solids, sizes=toy.solids.sizes * scale, centers=toy.solids.centers * scale)
    skeleton = toy.skeleton.scaled(scale, -scale * center)
    materials = Materials.from_list(builder.materials, scale)
    return replace(toy, skeleton=skeleton, solids=solids, materials=materials)


def _sphere_directions(count: int) -> Tensor:
    """Return evenly spread unit vectors (a Fibonacci lattice), float64 [count, 3]."""
    index = torch.arange(count, dtype=torch.float64) + 0.5
    height = 1 - 2 * index / count
    angle = math.pi * (1 + math.sqrt(5)) * index
    radius = (1 - height**2).sqrt()
    return torch.stack([radius * angle.cos(), height, radius * angle.sin()], dim=-1)
