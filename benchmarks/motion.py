"""Does one moving scene reach what separate scenes of the frames reach, in calm and in fast motion?

    python3 tasks.py bench motion [--presets fast quality] [--toys 4] [--frames 12] [--size 128] [--cycles 2]

The same test toys move calmly, at most one cycle in the video, and fast, with ``--cycles`` cycles of running,
jumping, spinning, flapping or swimming. Each is seen by the input video and the six cameras of Zero123++
v1.1, its true views. Scenes are fitted with each preset to the video, and a static scene to every frame
alone, which gets the preset's steps times the frames of a step, divided by the frames of the video. All are
rendered from azimuths -75, 15, 105 and 195 at elevation 0. Prints PSNR on white, that of the worst frame,
SSIM and silhouette IoU, means over toys, and the seconds of a video's fit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from stag4d.evaluation import compare, on_white
from stag4d.evaluation.metrics import psnr
from stag4d.optimization import OptimizationConfig, preset
from stag4d.pipeline import fit
from stag4d.pipeline.scenes import render_views
from stag4d.toys import TEST_POSES, toy_seed
from stag4d.view_set import ViewSet

from ._single_frames import config_of_single_frame, single_frame
from ._true_views import Images, true_views

COLUMNS = ("PSNR", "worst frame", "SSIM", "IoU", "seconds")


def main() -> None:
    """Print a row for each motion, preset and kind of fit as it is finished."""
    options = _options()
    print(f"| motion | preset | fit | {' | '.join(COLUMNS)} |\n|---|---|---{'|---' * len(COLUMNS)}|")
    for motion, cycles in (("calm", None), ("fast", options.cycles)):
        toys = [
            true_views(toy_seed("test", index), options.frames, options.size, cycles)
            for index in range(options.toys)
        ]
        for name in options.presets:
            config = preset(name, size=options.size)
            for kind, fitted in (("one scene", _one_scene), ("each frame alone", _frames_alone)):
                rows = [_scores(fitted, views, truth, config) for views, truth in toys]
                means = torch.tensor(rows, dtype=torch.float64).mean(dim=0).tolist()
                values = [f"{value:.{digits}f}" for value, digits in zip(means, (2, 2, 4, 4, 0), strict=True)]
                print(f"| {motion} | {name} | {kind} | {' | '.join(values)} |", flush=True)


def _scores(
    fitted: Callable[[ViewSet, OptimizationConfig], Images],
    views: ViewSet,
    truth: Images,
    config: OptimizationConfig,
) -> list[float]:
    """Return the values of ``COLUMNS`` of a fit."""
    began = time.perf_counter()
    rendered = fitted(views, config)
    seconds = time.perf_counter() - began
    scores = compare(*rendered, *truth)
    frames = psnr(on_white(*rendered), on_white(*truth)).mean(dim=0)  # [F]
    return [scores["psnr"], frames.min().item(), scores["ssim"], scores["iou"], seconds]


def _one_scene(views: ViewSet, config: OptimizationConfig) -> Images:
    """Return renders at the test views of a scene that is fitted to the video."""
    model, _ = fit(views, config)
    return render_views(model, list(TEST_POSES), list(range(views.num_frames)), config.size)


def _frames_alone(views: ViewSet, config: OptimizationConfig) -> Images:
    """Return renders at the test views of scenes that are fitted to the single frames."""
    config = config_of_single_frame(config, views.num_frames)
    parts = [
        render_views(fit(single_frame(views, frame), config)[0], list(TEST_POSES), [0], config.size)
        for frame in range(views.num_frames)
    ]
    images, alphas = (torch.cat(values, dim=1) for values in zip(*parts, strict=True))
    return images, alphas


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", choices=("fast", "quality"), default=("fast",))
    parser.add_argument("--toys", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--frames", type=int, default=12, help="(default: %(default)s)")
    parser.add_argument("--size", type=int, default=128, help="pixels (default: %(default)s)")
    parser.add_argument("--cycles", type=float, default=2.5, help="(default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
