"""Mattes that ``remove_background`` takes from the plain background of generated views, against given ones.

    python3 tasks.py bench view_mattes FOLDER

FOLDER is a view folder whose pictures still have the model's gray background under their mattes, as the
official pipeline writes them.
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
    """Print how the silhouettes overlap."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("views", type=Path, help="ViewSet folder")
    options = parser.parse_args()
    paths = sorted(options.views.glob("zero123/*_rgba/*.png"))
    if not paths:
        raise ValueError(f"{options.views}: no views; expected a folder that holds zero123/0_rgba/0.png, ...")
    overlaps, num_guesses = [], 0
    for path in paths:
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGBA"))).float() / 255
        _, alpha, is_plain = remove_background(pixels[..., :3])
        overlaps.append(silhouette_iou(alpha, pixels[..., 3]).item())
        num_guesses += not is_plain
    print(
        f"{len(overlaps)} views: IoU mean {np.mean(overlaps):.3f}, least {min(overlaps):.3f}; "
        f"{num_guesses} of them without a plain background"
    )


if __name__ == "__main__":
    main()
