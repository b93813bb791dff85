"""The images of each view, out of one batch with all views and frames."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ..geometry import CameraRig, ViewOrder, camera_rig, charactershot_indices, view_indices

_CHARACTERSHOT = "charactershot"
_CHARACTERSHOT_IMAGES = 25  # of each frame in its raw output, with view 0 five times


class ObjectImages(NamedTuple):
    """Images of one object.

    Attributes:
        images: [N, H, W, 3] straight colors, floats in 0..1 or uint8.
        alphas: [N, H, W] coverage of the object, floats or uint8, too.
    """

    images: Tensor
    alphas: Tensor


def preset_indices(
    name: str, num_images: int, num_frames: int | None = None, order: ViewOrder | None = None
) -> tuple[CameraRig, Tensor]:
    """Return a preset rig, and which image of a batch shows which of its cameras at which frame.

    Args:
        name: One of ``CAMERA_RIGS``.
        num_images: N.
        num_frames: F; None for N divided by the images of the rig.
        order: Order of the images; None for that of the rig. Raw output of CharacterShot, 25 F images, is
            recognized by its number.

    Returns:
        The rig, and indices into the images, int64 [F, V].

    Raises:
        ValueError: if the rig is unknown, or the numbers do not match.
    """
    rig = camera_rig(name)
    if num_frames and num_images and num_images % num_frames == 0:
        of_frame = num_images // num_frames
        if name == _CHARACTERSHOT and of_frame == _CHARACTERSHOT_IMAGES:
            return rig, charactershot_indices(num_images)
        rig = camera_rig(name, of_frame)
    indices = view_indices(
        num_images, num_frames=num_frames, num_views=rig.num_images, order=order or rig.order
    )
    return rig, indices


def split_views(images: ObjectImages, indices: Tensor) -> list[ObjectImages]:
    """Return the images of each view.

    Args:
        images: N images.
        indices: [F, V] into the images.
    """
    return [ObjectImages(images.images[of_view], images.alphas[of_view]) for of_view in indices.T]
