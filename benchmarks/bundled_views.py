"""How good are the views that the bundled multi-view model generates of toys that it was not trained on?

    python3 tasks.py bench bundled_views
    python3 tasks.py bench bundled_views --model DIR --split val --sampling-steps 4 8 12

Every toy is a single frame, generated without anchor. Its six views are compared with the true ones on white,
at the model's size. Prints PSNR, SSIM and IoU for each number of sampling steps, and for two baselines: the
input view copied six times, and the mean views of toys of the training split. Writes a sheet to OUT, in pairs
of rows, true views above generated ones, the input view first.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stag4d.diffusion import MultiViewModel, SeededNoise, load_multiview_model
from stag4d.evaluation import compare, compare_on_white, on_white
from stag4d.export import write_contact_sheet
from stag4d.pipeline import model_folder
from stag4d.pipeline.multiview import generate_views
from stag4d.toys import ANY_CHARACTER, INPUT_POSE, render_toys
from stag4d.toys.objects import SPLITS
from stag4d.types import InputVideo

SHEET_TOYS = 8
TRAINING_TOYS = 4  # training toys in the mean view, for each toy that is measured


def main() -> None:
    """Generate the views, print the scores and write the sheets."""
    options = _options()
    model = load_multiview_model(model_folder(options.model, "multiview"))
    poses, size = (INPUT_POSE, *model.grid.poses), model.grid.tile_size
    toys = render_toys(options.split, options.toys, poses, size, ANY_CHARACTER)
    images, alphas = toys  # [7, N, S, S, 3], [7, N, S, S]
    truth = images[1:], alphas[1:]
    training_toys = render_toys("train", options.toys * TRAINING_TOYS, poses, size, ANY_CHARACTER)
    _print_scores("input view copied", copied_input(*toys))
    _print_scores("mean of training toys", mean_view(*toys, training_toys))
    for num_steps in options.sampling_steps or [model.sampling.num_steps]:
        began = time.perf_counter()
        generated = generate_unanchored(model, images[0], alphas[0], SeededNoise(options.seed), num_steps)
        seconds = (time.perf_counter() - began) / options.toys
        _print_scores(f"{num_steps} steps, {seconds:.2f} s per toy", compare(*generated, *truth))
        rows = [
            torch.cat([on_white(images[0, toy], alphas[0, toy])[None], on_white(*shown)[:, toy]])
            for toy in range(min(SHEET_TOYS, options.toys))
            for shown in (truth, generated)
        ]
        path = options.out / f"{options.split}_{num_steps}.png"
        write_contact_sheet(path, torch.cat(rows), columns=len(poses))
        print(f"  {path}")


def generate_unanchored(
    model: MultiViewModel, images: Tensor, alphas: Tensor, noise: SeededNoise, num_steps: int
) -> tuple[Tensor, Tensor]:
    """Return the model's six views of N unrelated inputs: colors [6, N, S, S, 3] and alphas."""
    config = replace(model.sampling, anchor=None, num_steps=num_steps)
    views = generate_views(model, InputVideo(images, alphas), noise, config)
    return views.view_images.transpose(0, 1), views.view_alphas.transpose(0, 1)


def copied_input(images: Tensor, alphas: Tensor) -> dict[str, Any]:
    """Return the scores of a baseline: the first of V views [V, N, S, S, 3] in place of all others."""
    copied_images, copied_alphas = (part[:1].expand_as(part[1:]) for part in (images, alphas))
    return compare(copied_images, copied_alphas, images[1:], alphas[1:])


def mean_view(images: Tensor, alphas: Tensor, training_toys: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Return the scores of a baseline: the mean of the training toys, on white, in place of every toy."""
    known = on_white(*training_toys), training_toys[1]
    mean_image, mean_alpha = (part[1:].mean(dim=1, keepdim=True) for part in known)
    truth, true_alphas = on_white(images, alphas)[1:], alphas[1:]
    return compare_on_white(
        mean_image.expand_as(truth), mean_alpha.expand_as(true_alphas), truth, true_alphas
    )


def _print_scores(name: str, scores: dict[str, Any]) -> None:
    print(
        f"{name:28} PSNR {scores['psnr']:6.2f} dB, SSIM {scores['ssim']:.3f}, IoU {scores['iou']:.3f}",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bundled/mini-zero123plus", help="default: %(default)s")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: %(default)s")
    parser.add_argument("--toys", type=int, default=32, help="number of toys (default: %(default)s)")
    parser.add_argument("--sampling-steps", type=int, nargs="+", help="default: the model's own")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("bench_views"), help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
