"""Size of the viewer's clips, and how long packing takes: 20,000 Gaussians at 32 frames, made up.

The motion is a few slow waves through an ellipsoid ("clean"), with trembling on top ("noisy": 0.2 % of the
object's size and some degrees a frame). Scales stand still or breathe by a fifth. A clip is compared with the
same frames as PLY files.

    python3 tasks.py bench clip [--gaussians 20000] [--frames 32]
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

TREMBLING = (0.003, 0.03, 0.01)  # standard deviations of means (world units), quats, log scales
LIMITS_MB = {("clean", "full"): 3.0, ("noisy", "full"): 4.6, ("clean", "small"): 1.8, ("noisy", "small"): 3.3}
ANIMATED_LIMIT = 1.3  # of the size with still scales
PLY_BYTES = 17 * 4  # of a Gaussian


class Waves:
    """A deformation made of six slow waves, and of noise that is another one at every time.

    Args:
        num_frames: Times that noise is drawn for.
        count: Gaussians.
        is_noisy: Whether there is noise.
        moves_scales: Whether scales change.
    """

    def __init__(self, num_frames: int, count: int, *, is_noisy: bool, moves_scales: bool) -> None:
        generator = torch.Generator().manual_seed(1)
        self.wave_vectors = 2 * torch.randn(3, 6, generator=generator)
        self.phases = 2 * math.pi * torch.rand(6, generator=generator)
        self.cycles = 0.5 + 0.5 * torch.rand(6, generator=generator)
        self.amplitudes = torch.randn(6, 10, generator=generator) / math.sqrt(6)
        self.amplitudes *= torch.tensor([0.1] * 3 + [0.15] * 4 + [0.2] * 3)
        sizes = torch.tensor([TREMBLING[0]] * 3 + [TREMBLING[1]] * 4 + [TREMBLING[2]] * 3)
        self.noise = is_noisy * sizes * torch.randn(num_frames, count, 10, generator=generator)
        self.moves_scales = moves_scales

    def __call__(self, means: Tensor, frame_times: Tensor) -> SimpleNamespace:
        """Return offsets of means [T, N, 3], quats [T, N, 4] and log scales [T, N, 3]."""
        turns = 2 * math.pi * self.cycles * frame_times[:, None]  # [T, 6]
        waves = (means @ self.wave_vectors + self.phases + turns[:, None]).sin()  # [T, N, 6]
        frames = (frame_times * (len(self.noise) - 1)).round().long()
        offsets = waves @ self.amplitudes + self.noise[frames]  # [T, N, 10]
        moved, turned, grown = offsets.split([3, 4, 3], dim=-1)
        return SimpleNamespace(means=moved, quats=turned, log_scales=grown if self.moves_scales else None)


def make_scene(num_frames: int, count: int, *, is_noisy: bool, moves_scales: bool) -> GaussianModel4D:
    """Return Gaussians on an ellipsoid, in no order, moved by waves."""
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
    """Return a clip's size, MB, and the seconds that packing and reading take."""
    began = time.perf_counter()
    clip = encode_s4d(model, precision=precision)
    packed = time.perf_counter()
    read_s4d(clip)
    return len(clip) / 1e6, packed - began, time.perf_counter() - packed


def main(argv: Sequence[str] | None = None) -> int:
    """Print sizes and times; returns 1 where a size is over its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gaussians", type=int, default=20_000)
    parser.add_argument("--frames", type=int, default=32)
    options = parser.parse_args(argv)
    samples = options.gaussians * options.frames
    share = samples / (20_000 * 32)  # the limits are for these
    print(
        f"{options.gaussians} Gaussians at {options.frames} frames; as PLY {samples * PLY_BYTES / 1e6:.1f} MB"
    )
    print("motion  precision  scales       MB  limit  of PLY  packing s  reading s")
    is_over = False
    for motion in ("clean", "noisy"):
        for precision in get_args(Precision):
            limit = share * LIMITS_MB[motion, precision]
            for scales in ("still", "moving"):
                flags = {"is_noisy": motion == "noisy", "moves_scales": scales == "moving"}
                model = make_scene(options.frames, options.gaussians, **flags)
                size, packing, reading = measure(model, precision)
                part = size * 1e6 / (samples * PLY_BYTES)
                print(
                    f"{motion:7} {precision:10} {scales:8} {size:6.2f} {limit:6.2f} {part:7.3f}"
                    f" {packing:10.2f} {reading:10.2f}"
                )
                is_over |= size > limit
                limit = ANIMATED_LIMIT * size
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main())
