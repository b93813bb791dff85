"""The Numba backend: threads, tiles and their borders, vector code, the cache of compiled kernels.

That its renders and gradients are correct is tested with all backends, in ``test_backends_agree``.
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

from stag4d.kernels import compilation
from stag4d.kernels import threads as threads_module
from stag4d.rendering.inputs import RasterInputs
from stag4d.rendering.numba import backend, compositing, layout
from stag4d.rendering.numba import tiling as tiling_module

PARAMETERS = ("means", "quats", "scales", "opacities", "colors")
PACKAGE = Path(backend.__file__).parent


@pytest.fixture
def set_num_threads() -> Iterator[Any]:
    """Return the function that sets the number of threads; restore the number afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def results(scene, render_mode: str = "RGB+D") -> list[Tensor]:
    """Return renders, alphas, meta and all gradients of a fixed weighted sum."""
    arguments = scene.arguments("cpu", torch.float32)
    renders, alphas, meta = backend.rasterize(RasterInputs(**arguments, render_mode=render_mode))
    meta["means2d"].retain_grad()
    weights = torch.randn(renders.shape, generator=torch.Generator().manual_seed(3))
    ((renders * weights).sum() + alphas.sum()).backward()
    gradients = [arguments[name].grad for name in PARAMETERS]
    return [renders, alphas, meta["radii"], meta["depths"], meta["means2d"].grad, *gradients]


def assert_same_bytes(actual: list[Tensor], expected: list[Tensor]) -> None:
    for tensor, other in zip(actual, expected, strict=True):
        assert tensor.detach().numpy().tobytes() == other.detach().numpy().tobytes()


def tiling_of(scene) -> tuple[layout.Tiling, layout.Splats]:
    """Return the tiling of a scene, and the splats that it was made from."""
    captured = {}

    def capture(size, splats):
        captured["splats"] = splats
        captured["tiling"] = tiling_module.tile_splats(size, splats)
        return captured["tiling"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "tile_splats", capture)
        backend.rasterize(scene.inputs())
    return captured["tiling"], captured["splats"]


def assert_tiling_is_consistent(tiling: layout.Tiling, num_splats: int) -> None:
    """Tiles and splats number the same intersections, each once; a gradient row belongs to its splat."""
    count = len(tiling.splat_ids)
    assert tiling.tile_offsets[0] == 0
    assert tiling.tile_offsets[-1] == tiling.splat_offsets[-1] == count
    assert (np.diff(tiling.tile_offsets) >= 0).all()
    assert np.array_equal(np.sort(tiling.gradient_rows), np.arange(count))
    splats_of_rows = np.repeat(np.arange(num_splats), np.diff(tiling.splat_offsets))
    assert np.array_equal(splats_of_rows[tiling.gradient_rows], tiling.splat_ids)


@pytest.mark.parametrize("num_threads", [2, 3, 5])
def test_any_number_of_threads_gives_the_same_bytes(num_threads, set_num_threads, random_scene):
    """The gradients of a splat are summed in an order that does not depend on the threads."""
    scene = random_scene(9000, width=160, height=130, scale=0.02)
    set_num_threads(1)
    expected = results(scene)
    set_num_threads(num_threads)
    assert_same_bytes(results(scene), expected)


def test_concurrent_callers_get_the_same_bytes(set_num_threads, random_scene):
    """They share the threads of the pool, as workflows in ComfyUI do."""
    set_num_threads(3)
    scenes = [random_scene(1500, width=100, height=90, seed=seed) for seed in range(4)]
    expected = [results(scene) for scene in scenes]
    with ThreadPoolExecutor(4) as callers:
        for _ in range(3):
            for actual, wanted in zip(callers.map(results, scenes), expected, strict=True):
                assert_same_bytes(actual, wanted)


def test_busy_pool_delays_no_caller(set_num_threads):
    """While other callers occupy all threads of the pool, a caller runs all chunks by itself."""
    set_num_threads(4)
    released, done = threading.Event(), []
    busy = [threads_module._pool().submit(released.wait, 60.0) for _ in range(os.cpu_count() or 1)]
    try:
        threads_module.run_chunks(lambda chunk, num_chunks: done.append((chunk, num_chunks)), 8)
    finally:
        released.set()
    assert all(future.result() for future in busy)
    assert sorted(done) == [(chunk, 8) for chunk in range(8)]


def test_errors_in_threads_are_raised_in_the_caller(set_num_threads):
    """The chunk that fails may run on the caller's thread or on another."""
    set_num_threads(2)

    def fail(chunk: int, num_chunks: int) -> None:
        raise RuntimeError(f"chunk {chunk} of {num_chunks}")

    with pytest.raises(RuntimeError, match="chunk"):
        threads_module.run_chunks(fail, 8)


def test_gradients_of_a_million_random_gaussians_are_finite():
    """In front, behind and far away, of sizes over nine decades, some not finite."""
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
def test_splats_on_tile_and_pixel_borders_have_a_consistent_tiling(offset, deviation, scene_at_pixels):
    """Extents that end on borders are rounded equally when intersections are counted and listed."""
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
    tiling, _ = tiling_of(scene)
    assert_tiling_is_consistent(tiling, count)


def test_every_pixel_of_a_splat_lies_in_one_of_its_tiles(random_scene):
    """A search over all pixels finds no tile that is missing."""
    scene = random_scene(400, width=70, height=45, num_cameras=2, scale=0.15)
    tiling, splats = tiling_of(scene)
    means2d, ellipses = torch.from_numpy(splats.means2d), torch.from_numpy(splats.ellipses)
    assert_tiling_is_consistent(tiling, 800)
    rows, columns = 3, 5
    listed = torch.zeros(2 * rows * columns, 800, dtype=torch.bool)
    for tile in range(len(listed)):
        listed[tile, tiling.splat_ids[tiling.tile_offsets[tile] : tiling.tile_offsets[tile + 1]]] = True
    ys, xs = torch.meshgrid(torch.arange(45) + 0.5, torch.arange(70) + 0.5, indexing="ij")
    for camera in range(2):
        for i in torch.nonzero(ellipses[camera, :, 0])[:, 0].tolist():
            dx, dy = means2d[camera, i, 0].double() - xs, means2d[camera, i, 1].double() - ys
            precision_x, slope, precision_y, max_sigma = ellipses[camera, i].double()
            inside = max_sigma - precision_x * (dx - slope * dy) ** 2 - precision_y * dy**2 > 1e-5
            pixels = torch.zeros(rows * 16, columns * 16, dtype=torch.bool)
            pixels[:45, :70] = inside
            tiles = pixels.reshape(rows, 16, columns, 16).any(dim=3).any(dim=1).reshape(-1)
            found = listed[camera * rows * columns : (camera + 1) * rows * columns, camera * 400 + i]
            assert not (tiles & ~found).any()


def test_splats_of_a_tile_are_sorted_by_depth_then_index(random_scene):
    """Depths with many ties, in a radix sort of three passes."""
    scene = random_scene(2000, num_cameras=1, scale=0.2)
    means = torch.cat([scene.means[:, :2], (4.0 * scene.means[:, 2:]).round() / 8.0], dim=1)
    view = torch.eye(4)[None].clone()
    view[0, 2, 3] = 3.0
    scene = replace(scene, means=means, viewmats=view)
    tiling, _ = tiling_of(scene)
    keys = list(zip(means[:, 2].tolist(), range(2000), strict=True))
    for start, end in zip(tiling.tile_offsets, tiling.tile_offsets[1:], strict=False):
        splats = tiling.splat_ids[start:end].tolist()
        assert splats == sorted(splats, key=lambda i: keys[i])


def test_alpha_polynomial_approximates_the_exponential():
    """The eighth power of a polynomial, in float32, over all possible exponents."""
    exponents = np.linspace(0.0, np.log(255.0), 100_001)
    root = np.zeros(len(exponents), np.float32)
    for coefficient in reversed(compositing.ALPHA_ROOT):
        root = root * exponents.astype(np.float32) + np.float32(coefficient)
    alphas = np.exp(exponents) / 255.0
    assert np.abs(root**8 / alphas - 1.0).max() < 3e-6


def test_more_intersections_than_int32_can_number_are_an_error(monkeypatch, random_scene):
    """The limit is lowered for the test."""
    monkeypatch.setattr(tiling_module, "MAX_INTERSECTIONS", 100)
    message = r"^rasterize: \d{3,} intersections of Gaussians and rows of tiles, more than 100; render fewer"
    with pytest.raises(RuntimeError, match=message):
        results(random_scene(300))


def test_strided_and_float64_inputs_render_the_same(random_scene):
    """Gradients have the dtype of the inputs."""
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


def test_renders_without_gradients_have_no_graph(random_scene):
    inputs = RasterInputs(**random_scene(20).arguments("cpu", torch.float32))
    with torch.no_grad():
        renders, _, meta = backend.rasterize(inputs)
    assert renders.grad_fn is None
    assert meta["means2d"].grad_fn is None


def test_inference_mode_renders_the_same_and_can_warm_up(random_scene):
    """ComfyUI executes nodes in inference mode."""
    inputs = RasterInputs(**random_scene(20).arguments("cpu", torch.float32))
    expected, _, _ = backend.rasterize(inputs)
    with torch.inference_mode():
        backend.warm_up()
        renders, _, _ = backend.rasterize(inputs)
    assert torch.equal(renders, expected)


def test_kernels_compile_without_a_writable_cache_folder(monkeypatch):
    """Without one Numba raises when it decorates a function with a cache."""
    njit = compilation.numba.njit

    def refuse_to_cache(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    def add(chunk: int, num_chunks: int, numbers: np.ndarray) -> None:
        numbers[0] += chunk + num_chunks

    monkeypatch.setattr(compilation.numba, "njit", refuse_to_cache)
    numbers = np.zeros(1)
    compilation.compiled(add)(1, 2, numbers)
    assert numbers[0] == 3.0


LOAD = """
import importlib.util, sys
import numpy as np

def load(package, folder):
    name, kernels = package + ".rendering.numba", package + ".kernels"
    for part in (package, package + ".rendering", name, kernels):
        path = folder + "/" + part[len(package) + 1 :].replace(".", "/")
        options = {"submodule_search_locations": [path]}
        spec = importlib.util.spec_from_file_location(part, path + "/__init__.py", **options)
        sys.modules[part] = importlib.util.module_from_spec(spec)  # not executed: it imports torch
    return importlib.import_module(name + ".tiling")

for package in sys.argv[2:]:
    tiling = load(package, sys.argv[1])
    counts = np.zeros((1, 2, 3), np.int32)
    columns = np.array([[1, 3]], np.int32)
    tiles = tiling.SplatTiles(np.array([[0, 1]], np.int32), np.array([0, 1]), columns)
    tiling.count_splats(0, 1, tiles, counts)
    assert counts.tolist() == [[[0, 1, 1], [0, 0, 0]]]
    print(package, "loaded" if tiling.count_splats.stats.cache_hits else "compiled")
"""


def test_cache_is_shared_by_processes_and_separate_for_each_package_name(tmp_path):
    """ComfyUI loads the package under its own name; kernels cached under another name cannot be loaded."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def run(*packages: str) -> str:
        command = [sys.executable, "-c", LOAD, str(PACKAGE.parents[1]), *packages]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("first") == "first compiled\n"
    assert run("second", "first") == "second compiled\nfirst loaded\n"


@pytest.mark.parametrize("text", ["0", "-2", "many", "", "1.5"])
def test_an_invalid_number_of_numba_threads_is_named(monkeypatch, text):
    monkeypatch.setenv("NUMBA_NUM_THREADS", text)
    expected = rf"NUMBA_NUM_THREADS: '{text}' in the environment; expected a number of threads above 0"
    with pytest.raises(ValueError, match=expected):
        threads_module.check_num_threads()


@pytest.mark.parametrize("text", ["1", " 64 ", None])
def test_a_valid_number_of_numba_threads_is_accepted(monkeypatch, text):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    if text is not None:
        monkeypatch.setenv("NUMBA_NUM_THREADS", text)
    threads_module.check_num_threads()


def test_numba_is_not_imported_with_an_invalid_number_of_threads():
    code = "from stag4d.rendering import select_backend; select_backend('cpu')"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parents[2],
        env={**os.environ, "NUMBA_NUM_THREADS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr.splitlines()[-1].startswith("ValueError: NUMBA_NUM_THREADS: '0'")
