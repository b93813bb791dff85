"""The compiled ray caster: agreement with torch's, threads, groups of rows, cancellation, the fallback."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("numba")

from stag4d.geometry import PROJECTIONS, OrbitPose, zero123plus_rig
from stag4d.toys import ToyObject, numba_raycast, raycast, torch_raycast
from stag4d.toys.bodies import PLANS
from stag4d.toys.materials import PATTERNS, Material
from stag4d.types import Cameras

raycast_module = importlib.import_module("stag4d.toys.raycast")
POSES = (OrbitPose(azimuth_deg=0.0), *zero123plus_rig("v1.1"))


@pytest.fixture
def set_num_threads() -> Iterator[Callable[[int], None]]:
    """Return the function that sets the number of threads; restore the number afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def no_loaded_tracer() -> Iterator[None]:
    """Forget which row tracer was loaded, before and after."""
    raycast_module._load_tracer.cache_clear()
    yield
    raycast_module._load_tracer.cache_clear()


def render(module, toy: ToyObject, time: float, cameras: Cameras, supersample: int = 2) -> list[Tensor]:
    """Return colors [C, H, W, 3], alphas and depths of a backend."""
    solids = toy.pose(time)
    images = [
        module.RowTracer(solids, toy.materials, cameras[[camera]], supersample)(0, cameras.height)
        for camera in range(len(cameras))
    ]
    return [torch.stack(parts) for parts in zip(*images, strict=True)]


def assert_agree(first: list[Tensor], second: list[Tensor], max_share: float) -> None:
    """All values agree to rounding, except in a share of the pixels, where a ray meets an edge."""
    for one, two in zip(first, second, strict=True):
        difference = (one - two).abs().reshape(one[..., 0].numel() if one.ndim == 4 else one.numel(), -1)
        assert (difference.amax(1) > 1e-5).float().mean() <= max_share


@pytest.mark.parametrize("plan", PLANS)
def test_both_ray_casters_render_the_same(toys, plan):
    """Torch's is an independent implementation: float32, all pieces of all solids at once."""
    for size, supersample in ((64, 2), (45, 1)):
        cameras = Cameras.from_poses(POSES, size, size)
        compiled, reference = (
            render(module, toys[plan], 0.4, cameras, supersample) for module in (numba_raycast, torch_raycast)
        )
        assert_agree(compiled, reference, max_share=0.005)
        assert ((compiled[1] > 0) == (reference[1] > 0)).float().mean() > 0.9995


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("plan", PLANS)
def test_both_ray_casters_render_the_same_from_any_cameras(toys, odd_cameras, plan, projection):
    """Not square, off-center, fx unlike fy."""
    for supersample in (1, 2):
        compiled, reference = (
            render(module, toys[plan], 0.6, odd_cameras[projection], supersample)
            for module in (numba_raycast, torch_raycast)
        )
        assert compiled[0].shape == (2, 45, 60, 3)
        assert compiled[1].mean() > 0.05
        assert_agree(compiled, reference, max_share=0.005)
        assert ((compiled[1] > 0) == (reference[1] > 0)).float().mean() > 0.999


@pytest.mark.parametrize("pattern", PATTERNS)
def test_both_ray_casters_color_patterns_the_same(one_joint, pattern):
    """From a distance and from within the object's bounding sphere."""
    material = Material(
        (1.0, 0.3, 0.0), (0.0, 0.1, 0.9), pattern, axis=(0.0, 0.6, 0.8), cell=0.27, phase=0.37
    )
    one_joint.builder.ellipsoid(0, (0.1, 0.0, 0.0), (0.5, 0.7, 0.4), material, (20, 40, 10))
    one_joint.builder.box(0, (-0.4, 0.1, 0.1), (0.3, 0.2, 0.5), material)
    toy = one_joint.toy()
    poses = [OrbitPose(azimuth_deg=35.0, radius=radius) for radius in (2.0, 0.9)]
    cameras = Cameras.from_poses(poses, 60, 60)
    compiled, reference = (render(module, toy, 0.0, cameras) for module in (numba_raycast, torch_raycast))
    assert_agree(compiled, reference, max_share=0.01)
    assert compiled[1].mean() > 0.1


def test_solids_whose_bounding_spheres_surround_the_camera_are_seen(one_joint):
    """A solid beside the camera reaches into the image though its center is behind the image plane."""
    one_joint.builder.box(
        0, (0.0, -1.0, 0.0), (3.0, 0.05, 3.0), Material((1.0, 0.0, 0.0))
    )  # below the camera
    cameras = Cameras.from_poses([OrbitPose(azimuth_deg=0.0)], 32, 32)
    compiled, reference = (
        render(module, one_joint.toy(), 0.0, cameras) for module in (numba_raycast, torch_raycast)
    )
    assert_agree(compiled, reference, max_share=0.0)
    assert compiled[1][0, -1].min() == 1.0 and compiled[1][0, 0].max() == 0.0


@pytest.mark.parametrize("num_threads", [2, 3, 5])
def test_any_number_of_threads_gives_the_same_bytes(toys, num_threads, set_num_threads):
    cameras = Cameras.from_poses(POSES[:2], 50, 50)
    set_num_threads(1)
    expected = raycast(toys["bird"], 0.7, cameras)
    set_num_threads(num_threads)
    for one, two in zip(raycast(toys["bird"], 0.7, cameras), expected, strict=True):
        assert one.numpy().tobytes() == two.numpy().tobytes()


@pytest.mark.parametrize("module", [numba_raycast, torch_raycast], ids=["numba", "torch"])
def test_rows_rendered_in_groups_equal_the_whole_image(toys, module):
    cameras = Cameras.from_poses([POSES[1]], 41, 37)
    tracer = module.RowTracer(toys["fish"].pose(0.2), toys["fish"].materials, cameras, 2)
    whole = tracer(0, 37)
    groups = [tracer(*rows) for rows in ((0, 1), (1, 20), (20, 37))]
    for expected, parts in zip(whole, zip(*groups, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(parts), expected, atol=1e-5, rtol=0)


def test_large_images_are_checked_for_cancel_every_few_rows(one_joint):
    """At 1024 pixels and four rays per pixel, every 32 rows."""
    one_joint.builder.ball(0, (0, 0, 0), 0.1, Material((1.0, 0.0, 0.0)))
    toy, cameras = one_joint.toy(), Cameras.from_poses(POSES[:1], 1024, 1024)
    raycast(toy, 0.0, cameras[[0]])  # afterwards the kernel is compiled
    checks: list[None] = []
    raycast(toy, 0.0, cameras, check=lambda: checks.append(None))
    assert len(checks) == 1024 / 32

    def cancel() -> None:
        checks.append(None)
        if len(checks) == 5:
            raise KeyboardInterrupt

    checks.clear()
    with pytest.raises(KeyboardInterrupt):
        raycast(toy, 0.0, cameras, check=cancel)
    assert len(checks) == 5


def test_torch_renders_where_numba_does_not_load(toys, no_loaded_tracer, monkeypatch, caplog):
    """With one warning."""
    monkeypatch.setitem(sys.modules, "stag4d.toys.numba_raycast", None)  # makes its import fail
    monkeypatch.delattr("stag4d.toys.numba_raycast")
    cameras = Cameras.from_poses(POSES[:1], 32, 32)
    with caplog.at_level(logging.WARNING, logger="stag4d.toys"):
        actual = [raycast(toys["fish"], 0.2, cameras) for _ in range(2)][1]
    assert len(caplog.records) == 1 and "pip install numba" in caplog.text
    for one, two in zip(actual, render(torch_raycast, toys["fish"], 0.2, cameras), strict=True):
        torch.testing.assert_close(one, two)


def test_importing_the_toys_does_not_import_numba():
    code = "import sys, stag4d.toys; sys.exit('numba' in sys.modules)"
    root = Path(numba_raycast.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
