"""How well does a scene fit the views that it was optimized with?

    python3 tasks.py bench given_views SCENE VIEWS --size 256

Prints a line for each view, the input view first: PSNR on white, and the mean alpha outside of the dilated
silhouette, where the scene should be empty.
"""

from __future__ import annotations

import argparse

import torch.nn.functional as F

from stag4d.data import read_views
from stag4d.evaluation import on_white, psnr
from stag4d.optimization.training_views import TrainingViews
from stag4d.pipeline import render_views
from stag4d.scene import load_scene

MARGIN = 3  # pixels by which silhouettes are dilated


def main() -> None:
    """Print a line for each view, the input view first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", help="scene.safetensors")
    parser.add_argument("views", help="ViewSet folder that the scene was fitted to")
    parser.add_argument("--size", type=int, default=256, help="pixels (default: %(default)s)")
    options = parser.parse_args()
    views = read_views(options.views, options.size)
    given = TrainingViews.from_views(views, options.size)
    scene = load_scene(options.scene).object_centered()  # as the given views are
    frames = list(range(views.num_frames))
    print(f"{'view':>5} {'PSNR':>6} {'alpha outside':>14}")
    for index, pose in enumerate((views.input_pose, *views.view_poses)):
        images, alphas = render_views(scene, [pose], frames, options.size)
        truth, true_alphas = given.on_white(index)  # [F, S, S, 3], [F, S, S]
        dilated = F.max_pool2d((true_alphas > 0.5).float(), 2 * MARGIN + 1, stride=1, padding=MARGIN)
        outside = (alphas[0] * (1 - dilated)).sum() / (1 - dilated).sum()
        score = psnr(on_white(images[0], alphas[0]), truth).mean()
        print(f"{index:>5} {score:6.2f} {100 * outside:12.3f} %", flush=True)


if __name__ == "__main__":
    main()
