"""Toys of a few known solids, and one toy of every body plan and character."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from stag4d.geometry import OrbitPose, orbit_viewmats
from stag4d.toys import ANY_CHARACTER, ToyObject, toy_object
from stag4d.toys.bodies import PLANS
from stag4d.toys.builder import ToyBuilder
from stag4d.toys.characters import CHARACTERS
from stag4d.toys.materials import Materials
from stag4d.toys.seeded_random import SeededRandom
from stag4d.toys.skeleton import Skeleton, Swing
from stag4d.types import Cameras


class OneJoint:
    """A toy with one joint at the origin; tests add solids through ``builder``, and swings."""

    def __init__(self) -> None:
        self.builder = ToyBuilder(SeededRandom(0))
        self.builder.joint("body", -1, (0, 0, 0))

    def toy(self, swings: Sequence[Swing] = ()) -> ToyObject:
        self.builder.joints[0].swings.extend(swings)
        return ToyObject(
            plan="bench",
            loops=False,
            skeleton=Skeleton.from_joints(self.builder.joints),
            solids=self.builder.solids(),
            joint_of_solid=torch.tensor(self.builder.joint_of_solid),
            materials=Materials.from_list(self.builder.materials),
        )


@pytest.fixture
def one_joint() -> OneJoint:
    return OneJoint()


@pytest.fixture
def odd_cameras() -> dict[str, Cameras]:
    """Return cameras of both projections whose images are not square, off-center, with fx unlike fy."""
    viewmats = orbit_viewmats([OrbitPose(azimuth_deg=35.0, elevation_deg=20.0), OrbitPose(azimuth_deg=200.0)])
    pinhole = torch.tensor([[70.0, 0.0, 33.0], [0.0, 62.0, 20.5], [0.0, 0.0, 1.0]]).repeat(2, 1, 1)
    ortho = pinhole.clone()
    ortho[:, :2, :2] *= 0.5  # as large as from the distance 2
    return {
        "pinhole": Cameras(viewmats, pinhole, 60, 45),
        "ortho": Cameras(viewmats, ortho, 60, 45, "ortho"),
    }


@pytest.fixture(scope="session")
def toys() -> dict[str, ToyObject]:
    """Return the first toy of each body plan and of each character."""
    found: dict[str, ToyObject] = {}
    for seed in range(100):
        for toy in (toy_object(seed), toy_object(seed, ANY_CHARACTER)):
            found.setdefault(toy.plan, toy)
        if len(found) == len(PLANS) + len(CHARACTERS):
            return found
    raise AssertionError(f"100 seeds gave only {sorted(found)}")
