"""Are intrinsics those of images of another size? The principal point tells, relative to the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..types import Cameras

# Offsets of a principal point from the center, as shares of the image; ours. Beyond the first in one axis, or
# the second in both, as at 0.6 or 1.4 times the size, it is far from the center.
_FAR, _FAR_IN_BOTH = 0.45, 0.2


def check_image_size(cameras: Sequence[Cameras]) -> None:
    """Raise ValueError if given intrinsics are those of images of another size.

    The principal point of a crop may be far from the center of the image, too. But a crop to the object shows
    the origin near the center of the image, while intrinsics of another size show it near the principal point
    if the camera looks at it. Views are refused only if this holds for all of one size.

    Args:
        cameras: Camera of each view around the origin, where the object is; of moving ones the first counts.
    """
    of_size: dict[tuple[int, int], list[int]] = {}
    for view, camera in enumerate(cameras):
        of_size.setdefault((camera.width, camera.height), []).append(view)
    for (width, height), views in of_size.items():
        if all(_is_of_another_size(cameras[view]) for view in views):
            x, y = cameras[views[0]].Ks[0, :2, 2].tolist()
            raise ValueError(
                f"intrinsics: the principal point of view {views[0]} is ({x:g}, {y:g}), far from the center "
                f"of its images of {width}x{height} pixels, as in images of {2 * x:g}x{2 * y:g}; expected "
                f"intrinsics in pixels for images of {width}x{height}."
            )


def _is_of_another_size(camera: Cameras) -> bool:
    """Return whether the principal point is far from the image's center, and the origin appears near it."""
    size = torch.tensor([camera.width, camera.height])
    principal = camera.Ks[0, :2, 2].cpu() / size  # [2] shares of width and height
    pixels, _ = camera.project(camera.viewmats.new_zeros(1, 3))  # [1, 2]
    origin = pixels[0].cpu() / size
    offsets = (principal - 0.5).abs()
    is_far = bool(offsets.max() > _FAR or offsets.min() > _FAR_IN_BOTH)
    return is_far and bool((origin - principal).norm() < (origin - 0.5).norm())
