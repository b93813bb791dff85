"""Time the CPU rasterizer, compiled by Numba, against the torch reference and any baseline, in one run.

Each pair of a scene and a size is rendered forward and backward by all contestants in turns, so that a busy
machine slows all of them alike; printed are medians and their ratios. Of torch, which is slow, a fifth as
many runs are counted, and of each contestant the first is not. Then, each in a process of its own: the
memory that the first render and backward pass add to the peak, and the time of the first call, compiled anew
and from the cache.

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
from stag4d.rendering import torch_backend
from stag4d.rendering.numba import backend as numba_backend
from stag4d.scene import load_scene, random_ball

SIZES = ((5_000, 128), (20_000, 256), (50_000, 512))  # Gaussians, pixels a side
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
Camera = tuple[Tensor, Tensor, Tensor, int]  # viewmat [4, 4], K [3, 3], background [3], pixels a side
Contestant = Callable[[Scene, Camera], tuple[float, float]]


def random_scene(count: int) -> Scene:
    """Return a ball of Gaussians of mixed opacity."""
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
    """Return opaque flat disks that lie on a sphere, much as a fitted object looks."""
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
    """Return a camera on the default orbit before a white background."""
    viewmats = orbit_viewmats([OrbitPose(azimuth_deg=20.0, elevation_deg=10.0)])
    return viewmats[0], intrinsics([49.1], size, size)[0], torch.ones(3), size


def _run(render: Callable[..., Tensor], scene: Scene, camera: Camera) -> tuple[float, float]:
    """Return the seconds of a forward pass and of forward and backward together."""
    for tensor in scene.values():
        tensor.grad = None
    viewmat, K, background, size = camera
    weights = torch.linspace(-1.0, 1.0, size * size * 3).reshape(size, size, 3)
    start = time.perf_counter()
    image = render(scene, viewmat, K, background, size, size)
    forward = time.perf_counter() - start
    (image * weights).sum().backward()
    return forward, time.perf_counter() - start


def _contestant(module: object) -> Contestant:
    def render(scene: Scene, viewmat: Tensor, K: Tensor, background: Tensor, *size: int) -> Tensor:
        renders, _, _ = module.rasterize(
            scene["means"], scene["quats"], scene["log_scales"].exp(), scene["logit"].sigmoid(),
            scene["colors"], viewmat[None], K[None], *size, backgrounds=background[None],
        )  # fmt: skip
        return renders[0]

    return lambda scene, camera: _run(render, scene, camera)


run_numba = _contestant(numba_backend)


def _load_baseline(path: str) -> Contestant:
    spec = importlib.util.spec_from_file_location("baseline", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["baseline"] = module  # caches of compiled code look modules up by name
    spec.loader.exec_module(module)
    return lambda scene, camera: _run(lambda *args: module.render(*args)[0], scene, camera)


def compare(scene: Scene, size: int, contestants: dict[str, Contestant], repeats: int) -> None:
    """Print medians of interleaved runs, and the ratios of Numba's to the others'.

    Args:
        scene: What to render.
        size: Pixels a side.
        contestants: By name.
        repeats: Runs that are counted, one more is made first; of torch a fifth, at least one.
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
    """Run code in a process of its own and return what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, **environment}
    root = Path(__file__).resolve().parents[1]  # whose benchmarks the code may import
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def measure_extra_memory(count: int, size: int) -> int:
    """Return by how many bytes this process grows at most in a first render and backward pass (Linux).

    The process's high-water mark does not tell: importing torch and Numba raises it further. A thread watches
    the resident pages instead, while the kernels run without the interpreter's lock.
    """
    scene, camera = random_scene(count), make_camera(size)
    numba_backend.warm_up()
    _run(lambda *_: scene["means"].sum().expand(size, size, 3), scene, camera)  # loss and parameter gradients
    done, pages = threading.Event(), [_resident_pages()]

    def watch() -> None:
        while not done.wait(2e-4):
            pages.append(_resident_pages())

    watcher = threading.Thread(target=watch)
    watcher.start()
    run_numba(scene, camera)
    done.set()
    watcher.join()
    return (max(pages) - pages[0]) * resource.getpagesize()


def _resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


def print_costs() -> None:
    """Print the memory that a render adds, and how long the first call takes."""
    for count, size in SIZES:
        added = int(_in_process(EXTRA_MEMORY, count, size))
        print(f"extra memory, {count} Gaussians, {size} pixels a side: {added / 2**20:.1f} MiB")
    with tempfile.TemporaryDirectory() as folder:
        for state in ("compiled", "cached"):
            imported, first = _in_process(FIRST_CALL, NUMBA_CACHE_DIR=folder).split()
            print(f"first call, {state}: {first} s after an import (with torch) of {imported} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison that the command line asks for."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--repeats", type=int, default=15, help="interleaved runs of each, of torch a fifth")
    parser.add_argument("--scene", help="a fitted scene.safetensors to render, too")
    parser.add_argument("--baseline", help="a Python file with a render function to compare with")
    parser.add_argument("--no-torch", action="store_true", help="leave out the slow reference")
    parser.add_argument("--no-costs", action="store_true", help="leave out memory and first calls")
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
        print(f"{title}, {size} pixels a side")
        extra = {} if options.no_torch else {"torch": _contestant(torch_backend)}
        compare(scene, size, contestants | extra, options.repeats)
    if not options.no_costs:
        print_costs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
