"""Where the alpha of an image comes from: a mask, its own alpha channel, or its plain background.

Alphas are straight, 0..1; a pixel belongs to the object where its alpha is above 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..progress import Monitor, silent
from .background import alpha_from_border
from .bars import content_inside_black_frame

_MAX_OVERSHOOT = 0.5  # of values beyond 0..1, as resampling makes them
_INVERTED_SHARE = 0.9  # of the border pixels of all images; an object that touches all borders has less


def object_alphas(images: Tensor, alphas: Tensor | None = None, *, subject: str = "frames") -> Tensor:
    """Return the alpha of the object in every image: as given, else the image's own, else from the border.

    Args:
        images: [F, H, W, 3], or [F, H, W, 4] with alpha; floats 0..1, or uint8.
        alphas: [F, H, W], floats 0..1 or uint8; None takes the alpha channel of ``images``, or without one
            computes alpha from the plain background (``alpha_from_border``).
        subject: What the images are, for error messages.

    Returns:
        Alphas [F, H, W], float32 0..1.

    Raises:
        ValueError: if there are no images, shapes do not match, a value is not finite, an image has no
            object, no image has background, alphas are inverted, or a background is not plain where alpha is
            computed from it.
    """
    check_shapes(images, alphas, subject)
    rows, columns = content_of_video(images, alphas)
    inner = alphas_of_frames(images[:, rows, columns], alphas, range(len(images)), subject)
    found = inner.new_zeros(images.shape[:3])
    found[:, rows, columns] = inner
    for index, alpha in enumerate(found):
        if alpha.max() <= 0.5:
            raise ValueError(
                f"{subject}: image {index} has no object, its largest alpha is {alpha.max():g}; expected "
                "more than 0.5 somewhere in every image. STAG4D Prepare Frames leaves such images out."
            )
    check_background(found, subject)
    return found


def check_shapes(images: Tensor, alphas: Tensor | None, subject: str) -> None:
    """Raise ValueError unless images are [F, H, W, 3 or 4], F > 0, and alphas are [F, H, W] or None."""
    if images.ndim != 4 or images.shape[-1] not in (3, 4):
        raise ValueError(f"{subject}: images have shape {list(images.shape)}; expected [F, H, W, 3 or 4].")
    count, height, width = images.shape[:3]
    if count < 1:
        raise ValueError(f"{subject}: no frames; expected at least one.")
    if alphas is None:
        return
    if alphas.ndim != 3 or len(alphas) != count:
        raise ValueError(
            f"{subject}: alphas have shape {list(alphas.shape)}; expected {[count, height, width]}, "
            "one for each image."
        )
    if alphas.shape != images.shape[:3]:
        raise ValueError(
            f"{subject}: alphas of {alphas.shape[2]}x{alphas.shape[1]} pixels; expected {width}x{height}, "
            "as the images."
        )


def content_of_video(images: Tensor, alphas: Tensor | None) -> tuple[slice, slice]:
    """Return the rows and columns between black bars on all four sides, where alpha is to be computed.

    Args:
        images: [F, H, W, 3 or 4], see ``check_shapes``.
        alphas: [F, H, W], or None.

    Returns:
        All rows and columns if there is alpha, a single image, or no such bars.
    """
    content = None
    if alphas is None and images.shape[-1] == 3 and len(images) > 1:
        content = content_inside_black_frame(as_float(image).cpu().numpy() for image in images)
    return content or (slice(None), slice(None))


def check_background(alphas: Tensor, subject: str) -> None:
    """Raise ValueError if alphas [F, H, W] have no background, or are inverted.

    In an inverted mask the object is 0, and the background around it, at the image border, is 1.
    """
    if alphas.min() > 0.5:
        raise ValueError(
            f"{subject}: no background, alpha is at least {alphas.min():.2g} everywhere; expected "
            "background around the object. Connect masks of Remove Background to STAG4D Prepare Frames, or "
            "give the command --mattes."
        )
    is_object = alphas > 0.5
    border = torch.cat(
        [is_object[:, 0], is_object[:, -1], is_object[:, 1:-1, 0], is_object[:, 1:-1, -1]], dim=1
    )
    share = border.float().mean().item()
    if share >= _INVERTED_SHARE:
        raise ValueError(
            f"{subject}: the mask is inverted, {share:.0%} of the image border has alpha above 0.5; expected "
            "1 on the object and 0 around it. Set invert_mask of STAG4D Prepare Frames, connect Invert Mask, "
            "or give the command --invert-mattes."
        )


def alphas_of_frames(
    images: Tensor,
    alphas: Tensor | None,
    frames: Sequence[int],
    subject: str,
    names: Sequence[str] | None = None,
    monitor: Monitor = silent,
) -> Tensor:
    """Return the alphas [T, H, W] of T frames of a batch that ``check_shapes`` accepts.

    Args:
        images: [F, H, W, 3 or 4].
        alphas: [F, H, W], or None.
        frames: T indices, 0 to F - 1; other frames are neither read nor checked.
        subject: What the images are, for error messages.
        names: F names for error messages; None numbers the images from 0.
        monitor: Called after each frame, the first half of 2 T units of the stage ``crop``.

    Raises:
        ValueError: if a value is not finite, or a background is not plain where alpha is computed from it.
    """
    found = []
    for frame in frames:
        given = None if alphas is None else alphas[frame]
        found.append(frame_alpha(images[frame], given, f"{subject}: {frame_name(frame, names)}"))
        monitor("crop", len(found), 2 * len(frames))
    return torch.stack(found)


def frame_name(frame: int, names: Sequence[str] | None) -> str:
    """Return the name of a frame for messages; without names, its number from 0."""
    return f"image {frame}" if names is None else names[frame]


def check_range(values: Tensor, name: str, kind: str) -> None:
    """Raise ValueError, beginning with a name, unless all values are finite and 0..1, or little beyond.

    Resampling and decoders of diffusion models overshoot 0..1, which is clamped where values are used; values
    more than 0.5 outside are of another scale, such as 0..255.
    """
    if not values.isfinite().all():
        raise ValueError(f"{name} has {kind} that are not finite; expected 0 to 1.")
    low, high = (value.item() for value in values.aminmax())
    if low < -_MAX_OVERSHOOT or high > 1 + _MAX_OVERSHOOT:
        raise ValueError(f"{name} has {kind} from {low:g} to {high:g}; expected 0 to 1.")


def as_float(image: Tensor) -> Tensor:
    """Return an image as float32 0..1; long videos stay uint8 in memory and are converted frame by frame."""
    return image.float() / 255 if image.dtype == torch.uint8 else image.float()


def frame_alpha(image: Tensor, alpha: Tensor | None, name: str) -> Tensor:
    """Return the alpha of one image, float32 [H, W]; raises ValueError that begins with its name."""
    image = as_float(image)
    check_range(image, name, "pixels")
    if alpha is not None:
        alpha = as_float(alpha)
    elif image.shape[-1] == 4:
        alpha = image[..., 3]
    else:
        try:
            alpha = alpha_from_border(image)
        except ValueError as error:
            raise ValueError(
                f"{name} has no {error} Masks come from Remove Background for STAG4D Prepare Frames, and "
                "from --mattes for the commands."
            ) from error
    check_range(alpha, name, "alpha values")
    return alpha.clamp(0, 1)
