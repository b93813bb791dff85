"""Toys made of a few known solids, and one toy of every body plan."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from stag4d.toys import ToyObject, toy_object
from stag4d.toys.bodies import PLANS
from stag4d.toys.paint import Paint
from stag4d.toys.seeded_random import SeededRandom
from stag4d.toys.skeleton import Skeleton, Swing
from stag4d.toys.sketch import Sketch


class Bench:
    """Builds a toy by hand: one joint at the origin, solids added through ``sketch``, perhaps a swing."""

    def __init__(self) -> None:
        self.sketch = Sketch(SeededRandom(0))
        self.sketch.joint("body", -1, (0, 0, 0))

    def toy(self, swings: Sequence[Swing] = ()) -> ToyObject:
        self.sketch.joints[0].swings.extend(swings)
        return ToyObject(
            plan="bench",
            loops=False,
            skeleton=Skeleton.from_joints(self.sketch.joints),
            solids=self.sketch.solids(),
            joint_of_solid=torch.tensor(self.sketch.joint_of_solid),
            paint=Paint.from_coats(self.sketch.coats),
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def toys() -> dict[str, ToyObject]:
    """The first toy of each body plan."""
    found: dict[str, ToyObject] = {}
    for seed in range(100):
        toy = toy_object(seed)
        found.setdefault(toy.plan, toy)
        if len(found) == len(PLANS):
            return found
    raise AssertionError(f"100 seeds gave only {sorted(found)}")
