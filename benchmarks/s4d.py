"""How large are `.s4d` files, and how long do encoding and reading take?

    python3 tasks.py bench s4d [--gaussians 20000] [--frames 32]

The scenes are synthetic: Gaussians on an ellipsoid, moved by a few slow waves ("clean"), with jitter added
("noisy": 0.2 % of the object's size and a few degrees per frame), and static or moving scales. Prints a line
per scene and precision: size and its limit in MB, ratio to the same frames as PLY files, and seconds of
encoding and reading. The exit status is 1 if a size is over its limit.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, get_args

import torch
from torch import Tensor

from stag4d.export import Precision, encode_s4d, read_s4d
from stag4d.scene import GaussianModel4D, Gaussians, SceneInfo

JITTER = (0.003, 0.03, 0.01)  # standard deviations of means (world units), quats, log scales
LIMITS_MB = {("clean", "full"): 3.0, ("noisy", "full"): 4.6, ("clean", "small"): 1.8, ("noisy", "small"): 3.3}
MOVING_SCALES_LIMIT = 1.3  # of the size with static scales
PLY_BYTES = 17 * 4  # per Gaussian


class Waves:
    """A deformation by six slow waves, and by noise that is independent at every frame.

    Args:
        num_frames: Frames of the noise.
        count: Number of Gaussians.
        is_noisy: Whether to add noise.
        moves_scales: Whether scales change over time.
    """

    def __init__(self, num_frames: int, count: int, *, is_noisy: bool, moves_scales: bool) -> None:
        generator = torch.Generator().manual_seed(1)
        self.wave_vectors = 2 * torch.randn(3, 6, generator=generator)
        self.phases = 2 * math.pi * torch.rand(6, generator=generator)
        self.cycles = 0.5 + 0.5 * torch.rand(6, generator=generator)
        self.amplitudes = torch.randn(6, 10, generator=generator) / math.sqrt(6)
        self.amplitudes *= torch.tensor([0.1] * 3 + [0.15] * 4 + [0.2] * 3)
        sizes = torch.tensor([JITTER[0]] * 3 + [JITTER[1]] * 4 + [JITTER[2]] * 3)
        self.noise = is_noisy * sizes * torch.randn(num_frames, count, 10, generator=generator)
        self.moves_scales = moves_scales

    def __call__(self, means: Tensor, frame_times: Tensor) -> SimpleNamespace:
        """Return offsets of means [T, N, 3], quats [T, N, 4] and log scales [T, N, 3]."""
        turns = 2 * math.pi * self.cycles * frame_times[:, None]  # [T, 6]
        waves = (means @ self.wave_vectors + self.phases + turns[:, None]).sin()  # [T, N, 6]
        frames = (frame_times * (len(self.noise) - 1)).round().long()
        offsets = waves @ self.amplitudes + self.noise[frames]  # [T, N, 10]
        means, quats, log_scales = offsets.split([3, 4, 3], dim=-1)
        return SimpleNamespace(means=means, quats=quats, log_scales=log_scales if self.moves_scales else None)


def make_scene(num_frames: int, count: int, *, is_noisy: bool, moves_scales: bool) -> GaussianModel4D:
    """Return Gaussians on an ellipsoid, in random order, moved by waves."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    gaussians = Gaussians(
        means=directions
        * torch.tensor([0.4, 0.7, 0.4])
        * (1 + 0.02 * torch.randn(count, 1, generator=generator)),
        log_scales=-4.5 + 0.4 * torch.randn(count, 3, generator=generator),
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        logit_opacities=1 + torch.randn(count, generator=generator),
        sh0=torch.randn(count, 1, 3, generator=generator),
    )
    field: Any = Waves(num_frames, count, is_noisy=is_noisy, moves_scales=moves_scales)
    return GaussianModel4D(gaussians, field, SceneInfo(num_frames=num_frames))


def measure(model: GaussianModel4D, precision: Precision) -> tuple[float, float, float]:
    """Return the size of a `.s4d` file, MB, and the seconds of encoding and reading."""
    began = time.perf_counter()
    content = encode_s4d(model, precision=precision)
    encoded = time.perf_counter()
    read_s4d(content)
    return len(content) / 1e6, encoded - began, time.perf_counter() - encoded


def main(argv: Sequence[str] | None = None) -> int:
    """Print sizes and times; returns 1 where a size is over its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gaussians", type=int, default=20_000)
    parser.add_argument("--frames", type=int, default=32)
    options = parser.parse_args(argv)
    samples = options.gaussians * options.frames
    share = samples / (20_000 * 32)  # the limits are for this number
    print(
        f"{options.gaussians} Gaussians at {options.frames} frames; as PLY {samples * PLY_BYTES / 1e6:.1f} MB"
    )
    print("motion  precision  scales       MB  limit  of PLY  encode, s    read, s")
    is_over = False
    for motion in ("clean", "noisy"):
        for precision in get_args(Precision):
            limit = share * LIMITS_MB[motion, precision]
            for scales in ("static", "moving"):
                flags = {"is_noisy": motion == "noisy", "moves_scales": scales == "moving"}
                model = make_scene(options.frames, options.gaussians, **flags)
                size, encoding, reading = measure(model, precision)
                part = size * 1e6 / (samples * PLY_BYTES)
                print(
                    f"{motion:7} {precision:10} {scales:8} {size:6.2f} {limit:6.2f} {part:7.3f}"
                    f" {encoding:10.2f} {reading:10.2f}"
                )
                is_over |= size > limit
                limit = MOVING_SCALES_LIMIT * size
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main())
