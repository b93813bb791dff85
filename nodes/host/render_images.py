"""Images made of renders: normals, and renders on a background image."""

import torch

from ...stag4d.progress import Monitor, silent
from ...stag4d.rendering import encode_normals, normals_from_depth
from ...stag4d.types import Cameras


def normal_images(
    depths: torch.Tensor, alphas: torch.Tensor, cameras: Cameras, monitor: Monitor = silent
) -> torch.Tensor:
    """Return the normals of renders as images, see ``encode_normals``.

    Args:
        depths: [T, H, W] camera z.
        alphas: [T, H, W].
        cameras: T cameras, or one for all.
        monitor: Called after each image, of the stage ``normals``.

    Returns:
        [T, H, W, 3] in 0..1.
    """
    Ks = cameras.Ks.to(depths.device).expand(len(depths), 3, 3)
    images = torch.empty(*depths.shape, 3)
    for index in range(len(depths)):  # one at a time: the points of all pixels need memory, too
        one = slice(index, index + 1)
        normals = normals_from_depth(depths[one], alphas[one], Ks[one], cameras.projection)
        images[one] = encode_normals(normals)
        monitor("normals", index + 1, len(depths))
    return images


def composite(images: torch.Tensor, alphas: torch.Tensor, background: torch.Tensor) -> None:
    """Put renders on a background image, in place and one at a time, which needs no memory for all of them.

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
    for index in range(count):
        if index < len(background):
            covering = _covering(background[index, ..., :3].to(images), height, width)
        images[index] += (1 - alphas[index, ..., None]) * covering


def _covering(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return an image [h, w, 3], scaled and cropped in the middle to cover [H, W, 3]."""
    scale = max(height / image.shape[0], width / image.shape[1])
    size = [
        max(round(side * scale), least) for side, least in zip(image.shape[:2], (height, width), strict=True)
    ]
    colors_bchw = image.movedim(-1, 0)[None]
    scaled = torch.nn.functional.interpolate(colors_bchw, size, mode="bilinear", antialias=True)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return scaled[0, :, top : top + height, left : left + width].movedim(0, -1).clamp(0, 1)
