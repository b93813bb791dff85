"""How many kernels does an optimization step launch on a GPU, and how often does the host wait for it?

    python3 tasks.py bench step_launches [--presets fast quality paper]

Needs no GPU: steps in the middle of a fit run on simulated CUDA tensors, whose operators are counted, and the
rasterizer's kernels compute nothing. Numbers do not depend on the size of images or the number of Gaussians.
Prints a row per preset: launches without those of the rasterizer, those of the rasterizer without its
backward sums in torch, copies to the GPU, and operators for which the host waits, with the rasterizer's.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stag4d.geometry import OrbitPose
from stag4d.optimization import StartConfig, Trainer, preset
from stag4d.optimization.config import PresetName
from stag4d.optimization.frame_pool import frame_pool
from stag4d.toys import toy_seed, toy_views

from ._simulated_cuda import RASTERIZER, DeviceLog, simulated_cuda

SIZE, NUM_FRAMES, NUM_POINTS, RESOLUTION = 32, 8, 100, 8  # small: only the operators count


class PlainGuidance:
    """A guidance model without networks, which are no part of a step's own launches."""

    key = "plain"
    latent_shape = (3, SIZE // 8, SIZE // 8)
    alphas_cumprod = torch.full((10,), 0.5)

    def __init__(self, poses: Sequence[OrbitPose]) -> None:
        self.poses = poses

    def encode(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return latents, downsampled renders."""
        return torch.nn.functional.avg_pool2d(images.permute(0, 3, 1, 2), 8)

    def predict(self, noisy: Tensor, *_: object) -> Tensor:
        """Return the noisy latents as the noise prediction."""
        return noisy


def main() -> None:
    """Print a row per preset."""
    options = _options()
    print("| preset | launches | in the rasterizer | copies | waits | in the rasterizer |")
    print("|---|---|---|---|---|---|")
    for name in options.presets:
        log = log_of_steps(name, options.steps)
        print(row(name, log, options.steps))
        if options.places:
            for counter in (log.launches, log.waits):
                for place, count in counter.most_common():
                    print(f"    {place}: {count / options.steps:g}")


def log_of_steps(name: PresetName, num_steps: int) -> DeviceLog:
    """Return what steps of a preset do on a GPU; with preset ``paper`` score distillation, too."""
    config = preset(name, size=SIZE)
    field = replace(config.field, resolutions=(RESOLUTION,) * len(config.field.resolutions))
    start = StartConfig(kind="ball", num_points=NUM_POINTS)
    views = toy_views(toy_seed("val", 0), NUM_FRAMES, SIZE)
    guidance = PlainGuidance((views.input_pose, *views.view_poses)) if name == "paper" else None
    with simulated_cuda() as log:
        trainer = Trainer(views, replace(config, field=field, start=start), denoiser=guidance, device="cuda")
        trainer.step = config.steps // 2
        with frame_pool(trainer.device) as map_frames:
            trainer._advance(map_frames)  # fills caches
            log.clear()
            for _ in range(num_steps):
                trainer._advance(map_frames)
    return log


def row(name: str, log: DeviceLog, num_steps: int) -> str:
    """Return a row of the table: means over steps."""

    def of_rasterizer(counter: Counter[str]) -> int:
        return sum(count for place, count in counter.items() if place.startswith(RASTERIZER))

    numbers = [
        log.launches.total() - of_rasterizer(log.launches),
        of_rasterizer(log.launches),
        log.copies.total(),
        log.waits.total(),
        of_rasterizer(log.waits),
    ]
    return f"| {name} | {' | '.join(f'{number / num_steps:g}' for number in numbers)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ("fast", "quality", "paper")
    parser.add_argument("--presets", nargs="+", choices=names, default=names, help="(default: all)")
    parser.add_argument("--steps", type=int, default=2, help="counted steps (default: %(default)s)")
    parser.add_argument("--places", action="store_true", help="also the files with most of them")
    return parser.parse_args()


if __name__ == "__main__":
    main()
