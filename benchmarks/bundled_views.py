"""The bundled multi-view model's six views of new toys, against the toys' own.

    python3 tasks.py bench bundled_views
    python3 tasks.py bench bundled_views --model DIR --split val --sampling-steps 4 8 12

Every toy is a frame that is denoised for itself. Its views are cut out as everywhere and compared on white,
at their own size. Beside them stand two guesses that any model has to beat: the input copied six times, and
the mean of toys of the training split, the same six views for all. OUT gets a sheet, in pairs of rows: truth
above, ours below, the input first.
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
from stag4d.toys import INPUT_POSE, many_toys
from stag4d.toys.objects import SPLITS
from stag4d.types import InputVideo

SHEET_TOYS = 8
KNOWN = 4  # training toys in the mean, for each toy that is measured


def main() -> None:
    """Draw, measure and print."""
    options = _options()
    model = load_multiview_model(model_folder(options.model, "multiview"))
    poses, size = (INPUT_POSE, *model.grid.poses), model.grid.tile_size
    toys = images, alphas = many_toys(options.split, options.toys, poses, size)  # [7, N, S, S, 3]
    truth = images[1:], alphas[1:]
    _say("the input copied", copied(*toys))
    _say("the mean of training toys", mean(*toys, many_toys("train", options.toys * KNOWN, poses, size)))
    for num_steps in options.sampling_steps or [model.sampling.num_steps]:
        began = time.perf_counter()
        drawn = draw_views(model, images[0], alphas[0], SeededNoise(options.seed), num_steps)
        seconds = (time.perf_counter() - began) / options.toys
        _say(f"{num_steps} steps, {seconds:.2f} s a toy", compare(*drawn, *truth))
        pairs = [
            torch.cat([on_white(images[0, toy], alphas[0, toy])[None], on_white(*shown)[:, toy]])
            for toy in range(min(SHEET_TOYS, options.toys))
            for shown in (truth, drawn)
        ]
        path = options.out / f"{options.split}_{num_steps}.png"
        write_contact_sheet(path, torch.cat(pairs), columns=len(poses))
        print(f"  {path}")


def draw_views(
    model: MultiViewModel, images: Tensor, alphas: Tensor, noise: SeededNoise, num_steps: int
) -> tuple[Tensor, Tensor]:
    """Return the model's six views of N inputs, each for itself: [6, N, S, S, 3] colors and alphas."""
    config = replace(model.sampling, anchor=None, num_steps=num_steps)
    views = generate_views(model, InputVideo(images, alphas), noise, config)
    return views.view_images.transpose(0, 1), views.view_alphas.transpose(0, 1)


def copied(images: Tensor, alphas: Tensor) -> dict[str, Any]:
    """Return the scores of the first picture [V, N, S, S, 3] as a guess of all others."""
    first_image, first_alpha = images[:1].expand_as(images[1:]), alphas[:1].expand_as(alphas[1:])
    return compare(first_image, first_alpha, images[1:], alphas[1:])


def mean(images: Tensor, alphas: Tensor, known: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Return the scores of the mean of known toys, on white, as a guess of every toy's views."""
    pictures, mattes = (part[1:].mean(dim=1, keepdim=True) for part in (on_white(*known), known[1]))
    truth, true_mattes = on_white(images, alphas)[1:], alphas[1:]
    return compare_on_white(pictures.expand_as(truth), mattes.expand_as(true_mattes), truth, true_mattes)


def _say(what: str, scores: dict[str, Any]) -> None:
    """Print one line."""
    print(
        f"{what:28} PSNR {scores['psnr']:6.2f} dB, SSIM {scores['ssim']:.3f}, IoU {scores['iou']:.3f}",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bundled/mini-zero123plus", help="default: %(default)s")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: %(default)s")
    parser.add_argument("--toys", type=int, default=32, help="how many (default: %(default)s)")
    parser.add_argument("--sampling-steps", type=int, nargs="+", help="default: as the model says")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("bench_views"), help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
