"""How good are novel views of scenes fitted to true views of toys, and what does each part contribute?

    python3 tasks.py bench toys                     8 validation toys, preset fast
    python3 tasks.py bench toys --cycles 2.5        the same toys in fast motion
    python3 tasks.py bench toys --ablation --toys 4
    python3 tasks.py bench toys --ablation "ball start" --toys 3 --steps 300

Prints a line per toy (PSNR of a blank image and of the nearest given view, then PSNR, SSIM, IoU, seconds and
peak memory of the fit) and a line per variant with means over toys. ``--ablation`` adds variants that change
one part of the preset each. Every cell, a variant and a toy, runs in a new process and writes a JSON file to
the cache folder; finished cells are skipped. File names depend on preset and toy; after a change of the code,
choose another ``--cache``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks._true_views import true_views
from stag4d.atomic import replacing
from stag4d.evaluation import compare, on_white, psnr
from stag4d.geometry import nearest_poses
from stag4d.optimization import AdaptivePercentile, OptimizationConfig, preset
from stag4d.optimization.training_views import TrainingViews
from stag4d.pipeline import fit, render_views
from stag4d.toys import TEST_POSES, toy_seed, toy_views
from stag4d.view_set import ViewSet

Variant = Callable[[OptimizationConfig], OptimizationConfig]


def _with(part: str, **values: Any) -> Variant:
    return lambda config: replace(config, **{part: replace(getattr(config, part), **values)})


VARIANTS: dict[str, Variant] = {
    "preset": lambda config: config,
    "ball start": _with("start", kind="ball", bound=0.5),
    "no densification": _with("densification", strategy=None),
    "adaptive densification": _with("densification", strategy=AdaptivePercentile()),
    "adaptive densification, top 5 %": _with("densification", strategy=AdaptivePercentile(top_share=0.05)),
    "no time smoothness": _with("regularizers", time_smoothness=0.0),
    "time smoothness of any motion": _with("regularizers", calm_motion=0.0),
    "no SSIM": _with("losses", ssim=0.0),
    "one level of planes": _with("field", resolutions=(64,)),
    "deforming scales": _with("field", deform_scales=True),
    "no scale cap": _with("regularizers", scale_cap=0.0),
    "no silhouette area": _with("regularizers", silhouette_area=0.0),
    "no depth roughness": _with("regularizers", depth_roughness=0.0),
    "scale ratio": _with("regularizers", scale_ratio=0.01),
    "time deviation": _with("regularizers", time_deviation=0.001),
    "all frames at once": _with("batch", spread_until=0.0),
    "white background": _with("batch", background="white"),
    "four frames, six views": _with("batch", num_frames=4, num_views=6),
    "another seed": lambda config: replace(config, seed=1),
}


def main() -> None:
    """Run the missing cells and print the tables."""
    options = _options()
    if options.cell is not None:
        _run_cell(options)
        return
    variants = ["preset"]
    if options.ablation is not None:
        variants += options.ablation or list(VARIANTS)[1:]
    rows = {}
    for variant in variants:
        cells = [_cell(options, variant, index) for index in range(options.toys)]
        rows[variant] = cells
        if variant == variants[0]:
            print(
                f"{'toy':>4} {'blank':>6} {'near':>6} {'PSNR':>6} {'SSIM':>6} {'IoU':>6} {'s':>6} {'MiB':>6}"
            )
            for index, cell in enumerate(cells):
                print(
                    f"{index:>4} {cell['blank']:6.2f} {cell['nearest']:6.2f} {cell['psnr']:6.2f} "
                    f"{cell['ssim']:6.3f} {cell['iou']:6.3f} {cell['seconds']:6.0f} {cell['peak_mib']:6.0f}"
                )
    width = max(map(len, rows))
    print(
        f"\n{'variant':<{width}} {'PSNR':>6} {'SSIM':>6} {'IoU':>6} {'s':>6} {'vs preset':>10}   PSNR by toy"
    )
    for variant, cells in rows.items():
        means = {
            name: sum(cell[name] for cell in cells) / len(cells)
            for name in ("psnr", "ssim", "iou", "seconds")
        }
        base = sum(cell["psnr"] for cell in rows["preset"]) / len(rows["preset"])
        each = " ".join(f"{cell['psnr']:.2f}" for cell in cells)
        print(
            f"{variant:<{width}} {means['psnr']:6.2f} {means['ssim']:6.3f} {means['iou']:6.3f} "
            f"{means['seconds']:6.0f} {means['psnr'] - base:+10.2f}   {each}"
        )


def _cell(options: argparse.Namespace, variant: str, index: int) -> dict[str, Any]:
    """Return a cell's result, from its file or from a new process."""
    motion = "" if options.cycles is None else f"-{options.cycles:g}cycles"
    toy = f"{options.split}{index}-{options.frames}x{options.size}{motion}"
    settings = json.dumps(_config(options, variant).as_json(), sort_keys=True)
    image = toy_views(toy_seed(options.split, index), 1, 32).images.numpy()
    key = hashlib.sha256(settings.encode() + image.tobytes()).hexdigest()[:8]
    path = Path(options.cache) / f"{options.preset}-{variant.replace(' ', '_')}-{toy}-{key}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, *sys.argv[1:], "--cell", variant, str(index), str(path)]
        subprocess.run(command, check=True)
    return json.loads(path.read_text(encoding="utf-8"))


def _config(options: argparse.Namespace, variant: str) -> OptimizationConfig:
    """Return the optimization config of a variant."""
    return VARIANTS[variant](preset(options.preset, size=options.size, steps=options.steps))


def _run_cell(options: argparse.Namespace) -> None:
    """Fit one toy, score it, and write the cell's file; the seconds of the fit include kernel compilation."""
    variant, index, path = options.cell
    seed = toy_seed(options.split, int(index))
    views, truth = true_views(seed, options.frames, options.size, options.cycles)
    began = time.perf_counter()
    model, report = fit(views, _config(options, variant))
    seconds = time.perf_counter() - began
    images, alphas = render_views(model, list(TEST_POSES), list(range(options.frames)), options.size)
    scores = compare(images, alphas, *truth)
    cell = {
        **{name: scores[name] for name in ("psnr", "ssim", "iou")},
        **_baselines(views, *truth),
        "seconds": seconds,
        "steps": report.settings["steps"],
        "num_gaussians": report.num_gaussians,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    with replacing(Path(path)) as temporary:
        temporary.write_text(json.dumps(cell), encoding="utf-8")


def _baselines(views: ViewSet, images: torch.Tensor, alphas: torch.Tensor) -> dict[str, float]:
    """Return the PSNR of a white image and of the nearest given view at the test views."""
    truth = on_white(images, alphas)  # [V, F, S, S, 3]
    given = TrainingViews.from_views(views, truth.shape[2])
    nearest = []
    for index, pose in enumerate(TEST_POSES):
        cameras = nearest_poses(pose, (views.input_pose, *views.view_poses))
        nearest.append(
            max(psnr(given.on_white(camera).images, truth[index]).mean().item() for camera in cameras)
        )
    return {
        "blank": psnr(torch.ones_like(truth), truth).mean().item(),
        "nearest": sum(nearest) / len(nearest),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toys", type=int, default=8)
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--preset", choices=("fast", "quality"), default="fast")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--cycles", type=float, help="of a fast motion (default: the toys' calm motion)")
    parser.add_argument("--steps", type=int, help="of each fit (default: the preset's)")
    parser.add_argument(
        "--ablation",
        nargs="*",
        choices=list(VARIANTS)[1:],
        metavar="VARIANT",
        help=f"variants besides the preset, or all: {', '.join(list(VARIANTS)[1:]).replace('%', '%%')}",
    )
    parser.add_argument("--cache", default="out/toys", help="folder of the cells' files")
    parser.add_argument("--cell", nargs=3, metavar=("VARIANT", "INDEX", "FILE"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
