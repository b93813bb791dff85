"""STAG4DGuidanceFromModel: what it refuses, and its own pose numbers. The rest needs a real host."""

import importlib
import math
import sys
from types import SimpleNamespace

import pytest

from stag4d.geometry import OrbitPose


@pytest.fixture(scope="module")
def native(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.native_guidance")


class Flux:
    """Another model of the host."""


def test_another_model_is_refused_by_what_it_is(native):
    model = SimpleNamespace(model=Flux())
    with pytest.raises(
        ValueError, match="the model is a Flux; expected Stable_Zero123, as Image Only Checkpoint"
    ):
        native.STAG4DGuidanceFromModel.execute(model, None, None)


def test_a_vae_that_cannot_be_loaded_twice_is_refused_with_the_loaders_that_can(native):
    def clone(force_deepcopy):
        raise RuntimeError("cached_patcher_init is not initialized")

    model = SimpleNamespace(model=sys.modules["comfy.model_base"].Stable_Zero123())
    vae = SimpleNamespace(patcher=SimpleNamespace(clone=clone))
    with pytest.raises(
        ValueError, match=r"a second time \(cached_.*\); take it from Image Only Checkpoint Loader"
    ):
        native.STAG4DGuidanceFromModel.execute(model, None, vae)


@pytest.mark.parametrize(
    ("condition", "target", "expected"),
    [
        ((0, 0), (0, 0), (0, 0, 1, math.pi / 2)),
        (
            (0, 0),
            (90, 30),
            (-math.pi / 6, 1, 0, math.pi / 2),
        ),  # up is a smaller polar angle, right is positive
        (
            (30, 30),
            (30, 0),
            (math.pi / 6, 0, 1, math.radians(60)),
        ),  # the condition's own polar angle comes last
        ((90, -20), (0, 0), (math.radians(-20), -1, 0, math.radians(110))),
    ],
)
def test_pose_numbers_by_hand(native, condition, target, expected):
    poses = [
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation) for azimuth, elevation in (condition, target)
    ]
    assert native.camera_numbers(*poses) == pytest.approx(expected, abs=1e-9)
