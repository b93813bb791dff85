"""How long does cancel of a fit take?

    python3 tasks.py bench cancel_latency [--preset quality] [--steps 100] [--compile] [--guidance]

A cancel takes effect at the next call of the monitor, so the time between two calls is the longest wait for
it. A validation toy is fitted with a preset whose schedule is shortened to the given steps, cancelled in the
middle of a step, resumed from its checkpoint, and its page and turntable are written. Prints the distribution
of the times between calls, the longest ones with the calls before and after them, and the time from the
cancel until the call has written its checkpoint and returns. Each is given as wall time and as CPU time of
the calling thread: on a busy machine the latter is about the wall time on a quiet one, except in stage
``start``, where the thread waits for another, and with several threads. ``--compile`` lets Numba compile its
kernels, in an empty cache folder, and ``--guidance`` adds score distillation with the bundled guidance model.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from stag4d.diffusion import load_guidance_model
from stag4d.optimization import preset
from stag4d.pipeline import CHECKPOINT, DenoiserMaker, fit, model_folder, write_fit
from stag4d.pipeline.guidance import denoiser_maker
from stag4d.progress import Interrupted, Preview
from stag4d.resume import Checkpoint
from stag4d.toys import toy_seed, toy_views


class Gap(NamedTuple):
    """The time between two calls of the monitor: seconds of wall and CPU time, and their labels."""

    wall: float
    cpu: float
    before: str
    after: str


class Recorder:
    """A ``progress.Monitor`` that records the times between its calls and cancels within a step.

    Attributes:
        gaps: The times between calls so far.
        cancel_after: It cancels at the second call after this many steps; None never.
    """

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.cancel_after: int | None = None
        self._label = ""
        self.restart("start")

    def __call__(
        self, stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
    ) -> None:
        """Record the time since the last call; see ``progress.Monitor``."""
        is_within_step = preview is None and stage == "optimize"
        self.record(f"{stage} {done}")
        if is_within_step and done == self.cancel_after:
            raise Interrupted

    def record(self, label: str) -> Gap:
        """Record and return the time since the last call, under its label and this one."""
        gap = Gap(time.perf_counter() - self._wall, time.thread_time() - self._cpu, self._label, label)
        self.gaps.append(gap)
        self.restart(label)
        return gap

    def restart(self, label: str) -> None:
        """Begin to measure, after a call of that label."""
        self._label, self._wall, self._cpu = label, time.perf_counter(), time.thread_time()


def main() -> None:
    """Fit, cancel, resume and print the times."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if options.compile:
            os.environ["NUMBA_CACHE_DIR"] = name
        torch.set_num_threads(options.threads)
        views = toy_views(toy_seed("val", 0), options.frames, options.size)
        config = preset(options.preset, steps=options.steps, size=options.size)
        fit_once = partial(
            fit,
            views,
            config,
            checkpoint=Checkpoint(folder / CHECKPOINT),
            make_denoiser=_denoiser_maker(config.seed) if options.guidance else None,
            monitor=(recorder := Recorder()),
        )
        recorder.cancel_after = options.steps // 2
        recorder.restart("call")
        fit_once()
        recorder.record("return")
        end = recorder.gaps.pop()
        recorder.cancel_after = None
        recorder.restart("call")
        model, report = fit_once()
        write_fit(folder, model, report, options.size, recorder)
        recorder.record("return")
    print(
        f"preset {options.preset}, {options.frames} frames of {options.size} pixels, {options.threads} "
        f"thread(s), {report.num_gaussians} Gaussians, {len(recorder.gaps)} times between calls"
    )
    _print_distribution("wall", [gap.wall for gap in recorder.gaps])
    _print_distribution("CPU", [gap.cpu for gap in recorder.gaps])
    print(f"from the cancel to the end: {end.wall:.3f} s of wall time, {end.cpu:.3f} s of CPU time")
    for gap in sorted(recorder.gaps, key=lambda gap: gap.wall, reverse=True)[: options.longest]:
        print(f"{gap.wall:8.3f} s wall {gap.cpu:8.3f} s CPU   {gap.before} -> {gap.after}")


def _print_distribution(name: str, seconds: list[float]) -> None:
    """Print median, 90th and 99th percentile and maximum."""
    percentiles = statistics.quantiles(seconds, n=100, method="inclusive")
    median, p90, p99 = (percentiles[index - 1] for index in (50, 90, 99))
    print(f"{name:>5}: median {median:.3f}, 90 % {p90:.3f}, 99 % {p99:.3f}, longest {max(seconds):.3f} s")


def _denoiser_maker(seed: int) -> DenoiserMaker:
    """Return the function that prepares the bundled guidance model."""
    return denoiser_maker(load_guidance_model(model_folder("bundled/mini-zero123", "guidance")), seed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=("fast", "quality"), default="fast")
    parser.add_argument("--steps", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--frames", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="pixels (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--longest", type=int, default=10, help="times to list (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="compile the kernels in this process")
    parser.add_argument("--guidance", action="store_true", help="with the bundled guidance model")
    parser.add_argument("--folder", help="for temporary files (default: the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
