"""How much time of an optimization step is not rendering: field, regularizers and optimizer?

    python3 tasks.py bench step_cost [--steps 600]

A validation toy is fitted with preset ``fast`` for the given steps. Then whole steps alternate with rendering
alone, which is forward and backward pass of the losses on static Gaussians at the same frames and cameras.
Prints the median times of both, their difference and its ratio to the time of rendering.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from contextlib import suppress

import torch

from stag4d.optimization import Trainer, preset
from stag4d.optimization.frame_pool import frame_pool
from stag4d.optimization.parameters import TrainableScene
from stag4d.progress import Interrupted
from stag4d.toys import toy_seed, toy_views


def main() -> None:
    """Print the median times and their ratio."""
    options = _options()
    config = preset("fast", size=options.size)
    trainer = Trainer(toy_views(toy_seed("val", 0), 16, options.size), config)

    def stop(stage: str, done: int, *_: object, **__: object) -> None:
        if done >= options.steps:
            raise Interrupted

    with suppress(Interrupted):
        trainer.run(stop)
    whole, rendering = [], []
    with frame_pool(trainer.device) as map_frames:
        for _ in range(options.repeats):
            began = time.perf_counter()
            trainer._advance(map_frames)
            whole.append(time.perf_counter() - began)
            samples = trainer._sample_frames(trainer.step / config.steps)
            static = [_static(trainer, sample.frame) for sample in samples]
            began = time.perf_counter()
            pairs = zip(static, samples, strict=True)
            map_frames(lambda pair: pair[0]._frame_losses([pair[1]], 1.0), pairs)
            rendering.append(time.perf_counter() - began)
    step, render = (1000 * statistics.median(seconds) for seconds in (whole, rendering))
    print(f"{len(trainer.scene.gaussians)} Gaussians, {options.size} pixels, {options.repeats} steps")
    print(f"step {step:.1f} ms, rendering {render:.1f} ms, the rest {step - render:.1f} ms")
    print(f"rest / rendering: {(step - render) / render:.2f}")


@torch.no_grad()
def _static(trainer: Trainer, frame: int) -> Trainer:
    """Return a trainer with a static scene: the deformed Gaussians at a frame, without a field."""
    other = copy.copy(trainer)
    other.scene = TrainableScene(trainer._deformed([frame], 1.0)[0], None)
    return other


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=600, help="of the fit before (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=40, help="measured steps (default: %(default)s)")
    parser.add_argument("--size", type=int, default=128, help="pixels (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
