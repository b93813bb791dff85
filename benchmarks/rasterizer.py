"""Time the CPU rasterizer, compiled by Numba, against the torch reference and any baseline, in one run.

Each scene is rendered forward and backward at each size by all contestants in turn, so that load of the
machine affects all of them; medians and their ratios are printed. Torch, which is slow, gets a fifth of the
runs; the first run of each is a warm-up. Then, in separate processes: the memory that the first forward and
backward pass add to the peak, and the time of the first call, compiled and loaded from the cache.

    python3 tasks.py bench rasterizer [--repeats 15] [--scene scene.safetensors] [--baseline prototype.py]

A baseline is a Python file with ``render(parameters, viewmat, K, background, width, height)``, which returns
the image [H, W, 3] first; parameters are means, quats, log_scales, logit and colors.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from stag4d.geometry import OrbitPose, intrinsics, orbit_viewmats, quats_to_rotations
from stag4d.rendering.backends import Backend
from stag4d.rendering.inputs import RasterInputs
from stag4d.rendering.numba import backend as numba_backend
from stag4d.rendering.torch import backend as torch_backend
from stag4d.scene import load_scene, random_ball

SIZES = ((5_000, 128), (20_000, 256), (50_000, 512))  # Gaussians, pixels per side
SPLAT_SIZE = 0.02  # world units; the orbit's radius is 2
FIRST_CALL = """
import time
start = time.perf_counter()
from stag4d.rendering.numba import backend as numba_backend
imported = time.perf_counter()
numba_backend.warm_up()
print(f"{imported - start:.2f} {time.perf_counter() - imported:.2f}")
"""
EXTRA_MEMORY = """
import sys
from benchmarks import rasterizer
print(rasterizer.measure_extra_memory(*map(int, sys.argv[1:])))
"""

Scene = dict[str, Tensor]  # means, quats, log_scales, logit, colors
Camera = tuple[Tensor, Tensor, Tensor, int]  # viewmat [4, 4], K [3, 3], background [3], pixels per side
Contestant = Callable[[Scene, Camera], tuple[float, float]]


def random_scene(count: int) -> Scene:
    """Return a ball of Gaussians of various opacities."""
    generator = torch.Generator().manual_seed(0)
    ball = random_ball(count, 0.8, generator)
    return _leaves(
        means=ball.means,
        quats=torch.randn(count, 4, generator=generator),
        log_scales=math.log(SPLAT_SIZE) + 0.3 * torch.randn(count, 3, generator=generator),
        logit=torch.randn(count, generator=generator) - 1.0,
        colors=torch.rand(count, 3, generator=generator),
    )


def surface_scene(count: int) -> Scene:
    """Return opaque flat disks on a sphere, similar to a fitted object."""
    generator = torch.Generator().manual_seed(1)
    quats = torch.randn(count, 4, generator=generator)
    normals = quats_to_rotations(quats)[..., 2]  # [N, 3]
    return _leaves(
        means=0.7 * normals + 0.01 * torch.randn(count, 3, generator=generator),
        quats=quats,
        log_scales=torch.tensor([1.0, 1.0, 0.1]).log()
        + math.log(SPLAT_SIZE)
        + 0.3 * torch.randn(count, 3, generator=generator),
        logit=torch.randn(count, generator=generator) + 2.0,
        colors=torch.rand(count, 3, generator=generator),
    )


def saved_scene(path: str) -> Scene:
    """Return the Gaussians of a fitted scene at its first time."""
    model = load_scene(path)
    gaussians = model.at(model.frame_times[:1])[0]
    return _leaves(
        means=gaussians.means,
        quats=gaussians.quats,
        log_scales=gaussians.log_scales,
        logit=gaussians.logit_opacities,
        colors=gaussians.colors,
    )


def _leaves(**tensors: Tensor) -> Scene:
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in tensors.items()}


def make_camera(size: int) -> Camera:
    """Return a camera on the default orbit with a white background."""
    viewmats = orbit_viewmats([OrbitPose(azimuth_deg=20.0, elevation_deg=10.0)])
    return viewmats[0], intrinsics([49.1], size, size)[0], torch.ones(3), size


def _run(render: Callable[..., Tensor], scene: Scene, camera: Camera) -> tuple[float, float]:
    """Return the seconds of a forward pass and of a forward and backward pass."""
    for tensor in scene.values():
        tensor.grad = None
    viewmat, K, background, size = camera
    weights = torch.linspace(-1.0, 1.0, size * size * 3).reshape(size, size, 3)
    start = time.perf_counter()
    image = render(scene, viewmat, K, background, size, size)
    forward = time.perf_counter() - start
    (image * weights).sum().backward()
    return forward, time.perf_counter() - start


def _contestant(rasterize: Backend) -> Contestant:
    def render(
        scene: Scene, viewmat: Tensor, K: Tensor, background: Tensor, width: int, height: int
    ) -> Tensor:
        inputs = RasterInputs(
            means=scene["means"],
            quats=scene["quats"],
            scales=scene["log_scales"].exp(),
            opacities=scene["logit"].sigmoid(),
            colors=scene["colors"],
            viewmats=viewmat[None],
            Ks=K[None],
            width=width,
            height=height,
            backgrounds=background[None],
        )
        renders, _, _ = rasterize(inputs)
        return renders[0]

    return lambda scene, camera: _run(render, scene, camera)


run_numba = _contestant(numba_backend.rasterize)


def _load_baseline(path: str) -> Contestant:
    spec = importlib.util.spec_from_file_location("baseline", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["baseline"] = module  # Numba's cache looks modules up by name
    spec.loader.exec_module(module)
    return lambda scene, camera: _run(lambda *args: module.render(*args)[0], scene, camera)


def compare(scene: Scene, size: int, contestants: dict[str, Contestant], repeats: int) -> None:
    """Print medians of interleaved runs, and the ratios of Numba's to the others'.

    Args:
        scene: Gaussians to render.
        size: Pixels per side.
        contestants: Functions that render and return their times, by name.
        repeats: Timed runs after one warm-up; for torch a fifth, at least one.
    """
    camera = make_camera(size)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for repeat in range(repeats + 1):
        for name, run in contestants.items():
            if name != "torch" or repeat <= max(1, repeats // 5):
                times[name].append(run(scene, camera))
    medians = {
        name: [1e3 * statistics.median(column) for column in zip(*runs[1:], strict=True)]
        for name, runs in times.items()
    }
    for name, (forward, both) in medians.items():
        ratio = f"  numba/{name} {medians['numba'][1] / both:.3f}" if name != "numba" else ""
        print(f"  {name:9} forward {forward:8.1f} ms  forward+backward {both:8.1f} ms{ratio}")


def _in_process(code: str, *arguments: object, **environment: str) -> str:
    """Run code in a new process and return what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, **environment}
    root = Path(__file__).resolve().parents[1]  # the code imports from benchmarks
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def measure_extra_memory(count: int, size: int) -> int:
    """Return how many bytes a first forward and backward pass adds to this process's peak memory (Linux).

    The process's own peak is useless: importing torch and Numba needs more. A thread samples the resident
    pages instead, while the kernels run without the GIL.
    """
    scene, camera = random_scene(count), make_camera(size)
    numba_backend.warm_up()
    _run(lambda *_: scene["means"].sum().expand(size, size, 3), scene, camera)  # loss and parameter gradients
    done, pages = threading.Event(), [_resident_pages()]

    def sample() -> None:
        while not done.wait(2e-4):
            pages.append(_resident_pages())

    sampler = threading.Thread(target=sample)
    sampler.start()
    run_numba(scene, camera)
    done.set()
    sampler.join()
    return (max(pages) - pages[0]) * resource.getpagesize()


def _resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


def print_costs() -> None:
    """Print the added memory and the time of the first call."""
    for count, size in SIZES:
        added = int(_in_process(EXTRA_MEMORY, count, size))
        print(f"extra memory, {count} Gaussians, {size} pixels per side: {added / 2**20:.1f} MiB")
    with tempfile.TemporaryDirectory() as folder:
        for state in ("compiled", "cached"):
            imported, first = _in_process(FIRST_CALL, NUMBA_CACHE_DIR=folder).split()
            print(f"first call, {state}: {first} s after an import (with torch) of {imported} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison with the options of the command line."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--repeats", type=int, default=15, help="timed interleaved runs; torch gets a fifth")
    parser.add_argument("--scene", help="also render this fitted scene.safetensors")
    parser.add_argument("--baseline", help="also time this Python file's render function")
    parser.add_argument("--no-torch", action="store_true", help="skip the slow reference")
    parser.add_argument("--no-costs", action="store_true", help="skip memory and first calls")
    options = parser.parse_args(argv)
    contestants = {"numba": run_numba}
    if options.baseline is not None:
        contestants["baseline"] = _load_baseline(options.baseline)
    print(f"{torch.get_num_threads()} threads, {options.repeats} interleaved runs")
    kinds = (random_scene, surface_scene)
    scenes = [(f"{kind.__name__} {n}", kind(n), size) for kind in kinds for n, size in SIZES]
    if options.scene is not None:
        scene = saved_scene(options.scene)
        scenes += [(f"{Path(options.scene).name} {len(scene['means'])}", scene, size) for _, size in SIZES]
    for title, scene, size in scenes:
        print(f"{title}, {size} pixels per side")
        extra = {} if options.no_torch else {"torch": _contestant(torch_backend.rasterize)}
        compare(scene, size, contestants | extra, options.repeats)
    if not options.no_costs:
        print_costs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
