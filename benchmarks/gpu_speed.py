"""How fast is this GPU? Parity and time of the rasterizers, steps per second, and the diffusion networks.

    python3 tasks.py bench gpu_speed

One command for a machine with a GPU, meant to take less than five minutes. It prints the report of ``stag4d
doctor``, the differences of the CUDA kernels and of gsplat to torch (``gpu_parity``), the milliseconds of
each, the steps per second of presets ``fast`` and ``quality`` on a toy, and the time and memory of the
multi-view model and the guidance model at their published sizes, with random weights. Without a CUDA device
it refuses.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch

from benchmarks import gpu_parity
from stag4d.cli import main as run_command
from stag4d.optimization import OptimizationConfig, Trainer, preset
from stag4d.progress import Interrupted
from stag4d.rendering import rasterize
from stag4d.toys import toy_seed, toy_views

SIZES = ((5_000, 256), (20_000, 256), (50_000, 512), (100_000, 512))  # Gaussians, pixels per side
NUM_FRAMES = 16
WARM_UP_STEPS = 10
NETWORKS = (
    ("multiview", "--config", "full", "--frames", "4", "--steps", "4", "--repeats", "1"),
    ("guidance", "--config", "full", "--repeats", "3"),
)


def median_ms(function: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the median milliseconds of a call after one warm-up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        _wait(device)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def time_rasterizers(
    device: torch.device, sizes: Sequence[tuple[int, int]], backends: Sequence[str], repeats: int
) -> None:
    """Print the milliseconds of a forward pass and of a forward and backward pass.

    Args:
        device: Device of the Gaussians.
        sizes: Numbers of Gaussians, and pixels per side.
        backends: What renders; torch is timed once.
        repeats: Timed calls of the others.
    """
    sys.stdout.write("\nMilliseconds, forward / forward and backward, one pinhole camera\n")
    for count, size in sizes:
        scene = gpu_parity.make_scene(count, size, "pinhole", device)
        times = {name: _times(scene, name, 1 if name == "torch" else repeats) for name in backends}
        row = "".join(f"  {name} {forward:.2f} / {both:.2f}" for name, (forward, both) in times.items())
        sys.stdout.write(f"  {count} Gaussians, {size}x{size}:{row}\n")


def step_rate(config: OptimizationConfig, device: torch.device, seconds: float) -> tuple[float, int]:
    """Fit a toy for some time.

    Args:
        config: Of the fit.
        device: Device of the fit.
        seconds: Time of the measurement, after ``WARM_UP_STEPS``.

    Returns:
        Steps per second and the number of Gaussians at the end.
    """
    trainer = Trainer(toy_views(toy_seed("val", 0), NUM_FRAMES, config.size), config, device=device)
    trainer.step = config.steps // 2  # the scene moves
    marks: list[tuple[float, int]] = []  # time and step

    def mark() -> None:
        _wait(device)
        marks.append((time.perf_counter(), trainer.step))

    first = trainer.step + WARM_UP_STEPS

    def watch(stage: str, done: int, *_: object, **__: object) -> None:
        if not marks and trainer.step >= first:
            mark()
        elif marks and trainer.step > marks[0][1] and time.perf_counter() - marks[0][0] > seconds:
            raise Interrupted

    with suppress(Interrupted):
        trainer.run(watch)
    mark()
    (start, first_step), (end, last_step) = marks[0], marks[-1]
    return (last_step - first_step) / max(end - start, 1e-9), len(trainer.scene.gaussians)


def run_networks() -> bool:
    """Run the benchmarks of the networks at full size, in processes of their own; return whether all ran."""
    passed = True
    for name, *arguments in NETWORKS:
        sys.stdout.write(f"\nbenchmarks.{name} {' '.join(arguments)}\n")
        sys.stdout.flush()
        status = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=False)
        passed &= status.returncode == 0
    return passed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all measurements; return 1 if one fails, and 2 without a CUDA device."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=10, help="timed calls (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="per preset (default: %(default)s)")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        sys.stderr.write("gpu_speed: torch finds no CUDA device; run it on a machine with a GPU.\n")
        return 2
    device = torch.device("cuda")
    run_command(["doctor"])
    sys.stdout.write("\n")
    failed = gpu_parity.main(["--sizes", "3"])
    backends = [*gpu_parity.available(device, ("cuda", "gsplat")), "torch"]
    time_rasterizers(device, SIZES, backends, options.repeats)
    sys.stdout.write(f"\nA toy, {NUM_FRAMES} frames, six posed views\n")
    for name in ("fast", "quality"):
        config = preset(name)
        rate, count = step_rate(config, device, options.seconds)
        sys.stdout.write(f"  {name}: {rate:.1f} steps/s, {config.size} pixels, {count} Gaussians\n")
    torch.cuda.empty_cache()  # for the processes of the networks
    passed = run_networks()
    return int(bool(failed) or not passed)


def _times(scene: dict[str, Any], backend: str, repeats: int) -> tuple[float, float]:
    """Return the milliseconds of a forward pass and of a forward and backward pass."""
    device = scene["means"].device
    with torch.no_grad():
        forward = median_ms(lambda: rasterize(**scene, backend=backend), repeats, device)
    both = median_ms(lambda: gpu_parity.render_and_differentiate(scene, backend), repeats, device)
    return forward, both


def _wait(device: torch.device) -> None:
    """Wait for the work on a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(main())
