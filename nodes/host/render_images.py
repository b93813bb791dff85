"""Images made of renders: normals, and renders on a background image."""

import torch

from ...stag4d.rendering import encode_normals, normals_from_depth
from ...stag4d.types import Cameras


def normal_images(depths: torch.Tensor, alphas: torch.Tensor, cameras: Cameras) -> torch.Tensor:
    """Return the normals of renders as images, see ``encode_normals``.

    Args:
        depths: [T, H, W] camera z.
        alphas: [T, H, W].
        cameras: T cameras, or one for all.

    Returns:
        [T, H, W, 3] in 0..1.
    """
    Ks = cameras.Ks.to(depths.device).expand(len(depths), 3, 3)
    images = torch.empty(*depths.shape, 3)
    for index in range(len(depths)):  # one at a time: the points of all pixels need memory, too
        one = slice(index, index + 1)
        images[one] = encode_normals(normals_from_depth(depths[one], alphas[one], Ks[one]))
    return images


def composited(images: torch.Tensor, alphas: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Return renders on a background image.

    Args:
        images: [T, H, W, 3] renders on black.
        alphas: [T, H, W].
        background: IMAGE [1 or T, h, w, 3 or more], scaled and cropped to cover H x W.

    Raises:
        ValueError: if the number of background images is another one.
    """
    count, height, width = alphas.shape
    if len(background) not in (1, count):
        raise ValueError(
            f"background_image: {len(background)} images for {count} renders; expected one for all, or "
            f"{count}."
        )
    colors_bchw = background[..., :3].movedim(-1, 1).to(images)
    scale = max(height / colors_bchw.shape[2], width / colors_bchw.shape[3])
    size = [
        max(round(side * scale), least)
        for side, least in zip(colors_bchw.shape[2:], (height, width), strict=True)
    ]
    scaled = torch.nn.functional.interpolate(colors_bchw, size, mode="bilinear", antialias=True)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    covering = scaled[:, :, top : top + height, left : left + width].movedim(1, -1)  # [1 or T, H, W, 3]
    return images + (1 - alphas[..., None]) * covering.clamp(0, 1)
