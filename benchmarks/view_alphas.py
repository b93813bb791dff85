"""How exact are the alphas that ``remove_background`` computes from the plain background of generated views?

    python3 tasks.py bench view_alphas FOLDER

FOLDER is a view folder whose images have the model's gray background in their colors and an alpha channel, as
the official pipeline writes them. Prints the mean and the smallest IoU of the computed silhouettes and those
of the alpha channels, and the number of views without a plain background.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from stag4d.evaluation import silhouette_iou
from stag4d.matting import remove_background


def main() -> None:
    """Print the IoU of the silhouettes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("views", type=Path, help="ViewSet folder")
    options = parser.parse_args()
    paths = sorted(options.views.glob("zero123/*_rgba/*.png"))
    if not paths:
        raise ValueError(f"{options.views}: no views; expected a folder that holds zero123/0_rgba/0.png, ...")
    overlaps, num_uneven = [], 0
    for path in paths:
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGBA"))).float() / 255
        _, alpha, is_plain = remove_background(pixels[..., :3])
        overlaps.append(silhouette_iou(alpha, pixels[..., 3]).item())
        num_uneven += not is_plain
    print(
        f"{len(overlaps)} views: IoU mean {np.mean(overlaps):.3f}, minimum {min(overlaps):.3f}; "
        f"{num_uneven} without a plain background"
    )


if __name__ == "__main__":
    main()
