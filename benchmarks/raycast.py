"""How much faster do compiled kernels render toys than torch does?

    python3 tasks.py bench raycast [--size 128] [--repeats 5]

The seven given views of one frame of several toys are rendered on one thread, by both ray casters in turn.
Prints the median CPU time of both for each toy, their ratio, and the share of pixels that differ by more than
1e-5; then the median ratio, and the CPU time of the first use, which imports Numba and compiles the kernel or
loads it from the cache.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from stag4d.geometry import zero123plus_rig
from stag4d.toys import INPUT_POSE, ToyObject, torch_raycast, toy_object, toy_seed
from stag4d.types import Cameras

FRAME_TIME = 0.3


def main() -> None:
    """Measure and print."""
    options = _options()
    torch.set_num_threads(1)
    began = time.process_time()
    from stag4d.toys import numba_raycast

    numba_raycast.warm_up()
    first_use = time.process_time() - began
    cameras = Cameras.from_poses([INPUT_POSE, *zero123plus_rig("v1.1")], options.size, options.size)
    print(f"{'toy':>4} {'plan':<10} {'torch ms':>9} {'Numba ms':>9} {'ratio':>6} {'differ':>8}")
    ratios = []
    for index in range(options.toys):
        toy = toy_object(toy_seed("val", index))
        seconds: dict[ModuleType, list[float]] = {torch_raycast: [], numba_raycast: []}
        images: dict[ModuleType, Tensor] = {}
        for _ in range(options.repeats):
            for module, times in seconds.items():
                images[module], elapsed = _timed(lambda: _render(module, toy, cameras))  # noqa: B023
                times.append(elapsed)
        slow, fast = (statistics.median(times) for times in seconds.values())
        difference = (images[torch_raycast] - images[numba_raycast]).abs().amax(-1)
        share = (difference > 1e-5).float().mean().item()
        ratios.append(slow / fast)
        print(
            f"{index:>4} {toy.plan:<10} {1000 * slow:9.1f} {1000 * fast:9.1f} {slow / fast:6.1f} {share:8.3%}"
        )
    print(f"median ratio {statistics.median(ratios):.1f}, first use {first_use:.1f} s")


def _render(module: ModuleType, toy: ToyObject, cameras: Cameras) -> Tensor:
    """Return straight colors [C, H, W, 3]."""
    solids = toy.pose(FRAME_TIME)
    return torch.stack(
        [
            module.RowTracer(solids, toy.materials, cameras[[camera]], 2)(0, cameras.height)[0]
            for camera in range(len(cameras))
        ]
    )


def _timed(function: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """Return a function's result and the CPU seconds of this thread that it took."""
    began = time.thread_time()
    result = function()
    return result, time.thread_time() - began


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toys", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--size", type=int, default=128, help="pixels (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
