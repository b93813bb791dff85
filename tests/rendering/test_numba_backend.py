"""What only the Numba backend has: threads, tiles and their borders, vector code, a cache on disk.

That its images and gradients are right is tested with all backends, in ``test_backends_agree``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("numba")

from stag4d.rendering.inputs import RasterInputs
from stag4d.rendering.numba import backend, splat_intrinsics, workers
from stag4d.rendering.numba import tiling as tiling_module

PARAMETERS = ("means", "quats", "scales", "opacities", "colors")
PACKAGE = Path(backend.__file__).parent


@pytest.fixture
def threads() -> Iterator[Any]:
    """Return the function that sets the number of threads, which is restored afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def results(scene, render_mode: str = "RGB+D") -> list[Tensor]:
    """Render and return images, alphas, metadata and all gradients of a fixed weighting."""
    arguments = scene.arguments("cpu", torch.float32)
    renders, alphas, meta = backend.rasterize(RasterInputs(**arguments, render_mode=render_mode))
    meta["means2d"].retain_grad()
    weights = torch.randn(renders.shape, generator=torch.Generator().manual_seed(3))
    ((renders * weights).sum() + alphas.sum()).backward()
    gradients = [arguments[name].grad for name in PARAMETERS]
    return [renders, alphas, meta["radii"], meta["depths"], meta["means2d"].grad, *gradients]


def assert_same_bytes(actual: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(actual, expected, strict=True):
        assert one.detach().numpy().tobytes() == other.detach().numpy().tobytes()


def tiling_of(scene) -> tuple[tiling_module.Tiling, Tensor, Tensor]:
    """Return the order of a scene's splats, and the means2d and ellipses that it was made from."""
    captured = {}

    def capture(size, means2d, ellipses, *rest):
        captured.update(means2d=torch.from_numpy(means2d), ellipses=torch.from_numpy(ellipses))
        captured["tiling"] = tiling_module.tile_splats(size, means2d, ellipses, *rest)
        return captured["tiling"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "tile_splats", capture)
        backend.rasterize(scene.inputs())
    return captured["tiling"], captured["means2d"], captured["ellipses"]


def assert_tiling_is_sound(tiling: tiling_module.Tiling, num_splats: int) -> None:
    """Every slot is filled once and belongs to the splat that fills it; the tiles share out all places."""
    count = len(tiling.splats)
    assert tiling.tile_starts[0] == 0
    assert tiling.tile_starts[-1] == tiling.slot_starts[-1] == count
    assert (np.diff(tiling.tile_starts) >= 0).all()
    assert np.array_equal(np.sort(tiling.slots), np.arange(count))
    owners = np.repeat(np.arange(num_splats), np.diff(tiling.slot_starts))
    assert np.array_equal(owners[tiling.slots], tiling.splats)


@pytest.mark.parametrize("num_threads", [2, 3, 5])
def test_any_number_of_threads_gives_the_same_bytes(num_threads, threads, random_scene):
    """Gradients of one splat are summed in one order, whichever thread had which tile."""
    scene = random_scene(9000, width=160, height=130, scale=0.02)
    threads(1)
    expected = results(scene)
    threads(num_threads)
    assert_same_bytes(results(scene), expected)


def test_callers_on_several_threads_do_not_disturb_each_other(threads, random_scene):
    """A host runs each workflow on a worker thread; helper threads are shared."""
    threads(3)
    scenes = [random_scene(1500, width=100, height=90, seed=seed) for seed in range(4)]
    expected = [results(scene) for scene in scenes]
    with ThreadPoolExecutor(4) as callers:
        for _ in range(3):
            for actual, wanted in zip(callers.map(results, scenes), expected, strict=True):
                assert_same_bytes(actual, wanted)


def test_busy_helpers_delay_no_caller(threads):
    """While other callers hold every helper, a caller does all shares by itself."""
    threads(4)
    released, done = threading.Event(), []
    busy = [workers._pool().submit(released.wait, 60.0) for _ in range(os.cpu_count() or 1)]
    try:
        workers.run_shares(lambda part, parts: done.append((part, parts)), 8)
    finally:
        released.set()
    assert all(future.result() for future in busy)
    assert sorted(done) == [(part, 8) for part in range(8)]


def test_errors_in_helpers_reach_the_caller(threads):
    """The share that fails may be the caller's own or a helper's."""
    threads(2)

    def fail(part: int, parts: int) -> None:
        raise RuntimeError(f"share {part} of {parts}")

    with pytest.raises(RuntimeError, match="share"):
        workers.run_shares(fail, 8)


def test_a_million_random_gaussians_render_and_differentiate():
    """Around, behind and far away, of sizes over nine decades, some broken: all gradients are finite."""
    generator = torch.Generator().manual_seed(0)
    count = 1_000_000

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator)

    means = normal(3) * torch.exp(normal(1))
    scales = torch.exp(3.0 * normal(3) - 9.0).clamp(max=0.3)
    quats, opacities = normal(4), torch.rand(count, generator=generator)
    for values in (means, quats, scales):
        values[torch.randint(count, (50,), generator=generator), 0] = float("nan")
        values[torch.randint(count, (50,), generator=generator), 1] = float("inf")
    scales[torch.randint(count, (20,), generator=generator)] = 1e6  # cover the image
    leaves = {"means": means, "quats": quats, "scales": scales, "opacities": opacities}
    for tensor in leaves.values():
        tensor.requires_grad_()
    viewmats = torch.eye(4)[None].clone()
    viewmats[0, 2, 3] = 1.0
    intrinsics = torch.tensor([[[90.0, 0.0, 60.0], [0.0, 90.0, 45.0], [0.0, 0.0, 1.0]]])
    inputs = RasterInputs(
        **leaves,
        colors=torch.rand(count, 3, generator=generator),
        viewmats=viewmats,
        Ks=intrinsics,
        width=120,
        height=90,
    )
    renders, alphas, meta = backend.rasterize(inputs)
    (renders.sum() + alphas.sum()).backward()
    assert alphas.min() >= 0.0
    assert alphas.max() <= 1.0
    assert (meta["radii"][0, :, 0] > 0).sum() > count // 10
    assert all(leaf.grad.isfinite().all() for leaf in leaves.values())


@pytest.mark.parametrize("offset", [0.0, 0.5, 1e-6, -1e-6])
@pytest.mark.parametrize("deviation", [0.0, 1.0, 2.5700, 40.0])
def test_grids_on_tile_and_pixel_borders_fill_every_slot_once(offset, deviation, scene_at_pixels):
    """Extents that end on borders must be counted and filled alike, to the last bit."""
    centers = torch.cartesian_prod(torch.arange(-8.0, 72.0, 4.0), torch.arange(-8.0, 56.0, 4.0)) + offset
    count = len(centers)
    scene = scene_at_pixels(
        centers,
        torch.full((count,), deviation),
        torch.linspace(0.01, 1.0, count),
        torch.ones(count, 3),
        torch.full((count,), 2.0),
        (64, 48),
    )
    tiling, _, _ = tiling_of(scene)
    assert_tiling_is_sound(tiling, count)


def test_every_touched_pixel_lies_in_a_tile_of_its_splat(random_scene):
    """A brute-force search over all pixels finds no tile that the spans missed."""
    scene = random_scene(400, width=70, height=45, num_cameras=2, scale=0.15)
    tiling, means2d, ellipses = tiling_of(scene)
    assert_tiling_is_sound(tiling, 800)
    rows, columns = 3, 5
    listed = torch.zeros(2 * rows * columns, 800, dtype=torch.bool)
    for tile in range(len(listed)):
        listed[tile, tiling.splats[tiling.tile_starts[tile] : tiling.tile_starts[tile + 1]]] = True
    ys, xs = torch.meshgrid(torch.arange(45) + 0.5, torch.arange(70) + 0.5, indexing="ij")
    for camera in range(2):
        for i in torch.nonzero(ellipses[camera, :, 0])[:, 0].tolist():
            dx, dy = means2d[camera, i, 0].double() - xs, means2d[camera, i, 1].double() - ys
            precision_x, slope, precision_y, reach = ellipses[camera, i].double()
            inside = reach - precision_x * (dx - slope * dy) ** 2 - precision_y * dy**2 > 1e-5
            touched = torch.zeros(rows * 16, columns * 16, dtype=torch.bool)
            touched[:45, :70] = inside
            tiles = touched.reshape(rows, 16, columns, 16).any(dim=3).any(dim=1).reshape(-1)
            found = listed[camera * rows * columns : (camera + 1) * rows * columns, camera * 400 + i]
            assert not (tiles & ~found).any()


def test_splats_of_a_tile_stand_front_to_back_and_equal_depths_in_order(random_scene):
    """Depths with many ties; the sort is by bits, three digits at a time."""
    scene = random_scene(2000, num_cameras=1, scale=0.2)
    means = torch.cat([scene.means[:, :2], (4.0 * scene.means[:, 2:]).round() / 8.0], dim=1)
    view = torch.eye(4)[None].clone()
    view[0, 2, 3] = 3.0
    scene = replace(scene, means=means, viewmats=view)
    tiling, _, _ = tiling_of(scene)
    keys = list(zip(means[:, 2].tolist(), range(2000), strict=True))
    for start, end in zip(tiling.tile_starts, tiling.tile_starts[1:], strict=False):
        splats = tiling.splats[start:end].tolist()
        assert splats == sorted(splats, key=lambda i: keys[i])


def test_alpha_polynomial_is_the_exponential():
    """The eighth power of a polynomial, in float32, over every exponent that there is."""
    exponents = np.linspace(0.0, np.log(255.0), 100_001)
    root = np.zeros(len(exponents), np.float32)
    for coefficient in reversed(splat_intrinsics.ALPHA_ROOT):
        root = root * exponents.astype(np.float32) + np.float32(coefficient)
    alphas = np.exp(exponents) / 255.0
    assert np.abs(root**8 / alphas - 1.0).max() < 3e-6


def test_too_many_intersections_are_an_error_that_counts_them(monkeypatch, random_scene):
    """Where int32 would overflow; the limit is lowered to be reached."""
    monkeypatch.setattr(tiling_module, "MAX_INTERSECTIONS", 100)
    with pytest.raises(RuntimeError, match=r"splats meet rows of tiles \d{3,} times, more than 100; render"):
        results(random_scene(300))


def test_inputs_of_other_layout_and_type_render_the_same(random_scene):
    """Columns of a wider array, and float64; gradients arrive in the caller's type."""
    scene = random_scene(50)
    expected = results(scene, "RGB")
    arguments = scene.arguments("cpu", torch.float64)
    strided = {name: torch.stack([arguments[name].detach()] * 2, dim=-1)[..., 0] for name in PARAMETERS}
    leaves = {name: value.requires_grad_() for name, value in strided.items()}
    assert not leaves["means"].is_contiguous()
    renders, alphas, _ = backend.rasterize(RasterInputs(**{**arguments, **leaves}))
    weights = torch.randn(renders.shape, generator=torch.Generator().manual_seed(3))
    ((renders * weights).sum() + alphas.sum()).backward()
    assert torch.equal(renders, expected[0])
    assert leaves["means"].grad.dtype == torch.float64
    torch.testing.assert_close(leaves["means"].grad, expected[5].double(), rtol=1e-5, atol=1e-5)


def test_renders_without_gradients_hold_no_graph(random_scene):
    inputs = RasterInputs(**random_scene(20).arguments("cpu", torch.float32))
    with torch.no_grad():
        renders, _, meta = backend.rasterize(inputs)
    assert renders.grad_fn is None
    assert meta["means2d"].grad_fn is None


def test_inference_mode_renders_the_same_and_can_warm_up(random_scene):
    """A host may run everything without gradients."""
    inputs = RasterInputs(**random_scene(20).arguments("cpu", torch.float32))
    expected, _, _ = backend.rasterize(inputs)
    with torch.inference_mode():
        backend.warm_up()
        renders, _, _ = backend.rasterize(inputs)
    assert torch.equal(renders, expected)


def test_kernels_compile_without_a_folder_to_cache_in(monkeypatch):
    """Numba refuses to decorate where it can write nowhere."""
    njit = workers.numba.njit

    def refuse_to_cache(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    def add(part: int, parts: int, numbers: np.ndarray) -> None:
        numbers[0] += part + parts

    monkeypatch.setattr(workers.numba, "njit", refuse_to_cache)
    numbers = np.zeros(1)
    workers.compiled(add)(1, 2, numbers)
    assert numbers[0] == 3.0


LOAD = """
import importlib.util, sys
import numpy as np

def load(package, folder):
    for name in (package, package + ".workers", package + ".tiling"):
        path = folder + "/" + (name[len(package) + 1 :] or "__init__") + ".py"
        spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[folder])
        sys.modules[name] = importlib.util.module_from_spec(spec)
        if name != package:
            spec.loader.exec_module(sys.modules[name])
    return sys.modules[name].count_tiles

for package in sys.argv[2:]:
    count_tiles = load(package, sys.argv[1])
    counts = np.zeros((1, 2, 3), np.int32)
    count_tiles(0, 1, np.array([[0, 1]], np.int32), np.array([0, 1]), np.array([[1, 3]], np.int32), counts)
    assert counts.tolist() == [[[0, 1, 1], [0, 0, 0]]]
    print(package, "loaded" if count_tiles.stats.cache_hits else "compiled")
"""


def test_cache_serves_other_processes_and_knows_packages_by_name(tmp_path):
    """The host loads the package under a name of its own; what was cached under another cannot be loaded."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def run(*packages: str) -> str:
        command = [sys.executable, "-c", LOAD, str(PACKAGE), *packages]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("first") == "first compiled\n"
    assert run("second", "first") == "second compiled\nfirst loaded\n"
