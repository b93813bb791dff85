"""Read the images of one view and keep of them what shows the object: uint8, cropped to one box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...matting import alpha_from_border, bounding_box
from ...progress import Monitor
from ..decoding import NamedError, check_result_size
from ..frame_source import FrameSource, ImageSequence, open_frames
from ..masks import with_alpha
from ..resizing import resize_with_alpha
from .capture import Capture, CaptureView

_TRANSPARENT = 4  # of 255: alpha up to here is background
_MARGIN = 1 / 16  # of the longer side of the object's box, so that there is background around it
_MIN_MARGIN = 2  # pixels


class Box(NamedTuple):
    """A rectangle of an image: its first column and row, and the ends of both, pixels."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, eq=False)
class TrackImages:
    """The images of one view, cropped to the object.

    Attributes:
        images: uint8 [F, h, w, 3], straight colors.
        alphas: uint8 [F, h, w].
        box: The part of the whole images that they show.
        object_box: The part in which the object is, in some frame.
        size: Width and height of the whole images, pixels; if the images are resized, before that.
        num_computed: How many alphas were computed from a plain background.
    """

    images: Tensor
    alphas: Tensor
    box: Box
    object_box: Box
    size: tuple[int, int]
    num_computed: int


class ViewSource(NamedTuple):
    """Opened files of one view: its frames, and its masks if they are a video."""

    frames: FrameSource
    masks: FrameSource | None

    def read(self, kept: range) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the names and pixels, uint8 [H, W, 3 or 4], of frames."""
        images = self.frames.read(kept)
        return images if self.masks is None else with_alpha(images, self.masks.read(kept))


def open_view(capture: Capture, view: CaptureView, monitor: Monitor) -> ViewSource:
    """Open the files of a view; a video is decoded once for the times of its frames.

    Args:
        capture: The capture.
        view: One of its views.
        monitor: Called after each frame of a video that is decoded.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a video is damaged, or its masks have another number of frames.
    """
    if isinstance(view.frames, tuple):
        masks = view.masks if isinstance(view.masks, tuple) else (None,) * len(view.frames)
        return ViewSource(ImageSequence(capture.root, list(zip(view.frames, masks, strict=True))), None)
    frames = open_frames(view.frames, monitor=monitor)
    if not isinstance(view.masks, tuple) and view.masks is not None:
        masks_source = open_frames(view.masks, monitor=monitor)
        if len(masks_source.times) != len(frames.times):
            raise ValueError(
                f"{view.masks}: {len(masks_source.times)} masks; expected {len(frames.times)}, one for each "
                f"frame of {view.frames.name}."
            )
        return ViewSource(frames, masks_source)
    return ViewSource(frames, None)


def read_track(
    source: ViewSource, kept: range, name: str, longer_side: int | None, advance: Callable[[], None]
) -> TrackImages:
    """Read frames of a view; each is cropped as it is decoded, so that whole images are never kept.

    Args:
        source: The view's files.
        kept: Indices of the frames.
        name: Name of the view, for messages.
        longer_side: Longer side of the whole images after they are resized; None, or a larger one than they
            have, keeps their size.
        advance: Called after each frame.

    Raises:
        ValueError: if a file is damaged or of another size than the first, has neither alpha nor mask nor a
            plain background, or no frame shows the object.
    """
    crops: list[tuple[Box, np.ndarray]] = []
    size, num_computed, is_opaque = None, 0, True
    for label, pixels in source.read(kept):
        size = size or (pixels.shape[1], pixels.shape[0])
        _check_size(pixels, size, label, name)
        if pixels.shape[-1] == 3:
            pixels, num_computed = np.dstack([pixels, _border_alpha(label, name, pixels)]), num_computed + 1
        is_opaque = is_opaque and pixels[..., 3].min() == 255
        box = Box(*bounding_box(torch.from_numpy(pixels[..., 3] > _TRANSPARENT)))
        crops.append((box, pixels[box.top : box.bottom, box.left : box.right].copy()))
        advance()
    boxes = [box for box, _ in crops if box.right > box.left]
    path = source.frames.path
    if not boxes or size is None:
        raise ValueError(f"{path}: camera {name}: no frame shows the object; expected alpha above 0.")
    if is_opaque:
        raise ValueError(
            f"{path}: camera {name}: the object fills all frames; expected transparent pixels around it."
        )
    object_box = _union(boxes)
    union = _with_margin(object_box, size)
    num_bytes = 4 * (union.right - union.left) * (union.bottom - union.top)
    check_result_size(path, len(crops), num_bytes, source.frames.size_bytes)
    stacked = _resized(_pasted(crops, union), size, longer_side)
    images, alphas = torch.from_numpy(stacked).split([3, 1], dim=-1)
    return TrackImages(
        images.contiguous(), alphas[..., 0].contiguous(), union, object_box, size, num_computed
    )


def _check_size(pixels: np.ndarray, size: tuple[int, int], label: str, name: str) -> None:
    """Raise ValueError unless an image has the size of the first one of its camera."""
    if pixels.shape[1::-1] != size:
        raise NamedError(
            f"{label}: {pixels.shape[1]}x{pixels.shape[0]} pixels; expected {size[0]}x{size[1]}, as the "
            f"first frame of camera {name} has."
        )


def _border_alpha(label: str, name: str, pixels: np.ndarray) -> np.ndarray:
    """Return the alpha, uint8 [H, W], of an image without its own, from its plain background."""
    try:
        alpha = alpha_from_border(torch.from_numpy(pixels.astype(np.float32) / 255))
    except ValueError as error:
        raise ValueError(
            f"{label}: camera {name} has no alpha, no mask and no {error} Remove the background first, and "
            "save RGBA images, or masks beside them in a folder named masks."
        ) from error
    return np.rint(alpha.numpy() * 255).astype(np.uint8)


def _union(boxes: list[Box]) -> Box:
    """Return the box around boxes."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


def _with_margin(box: Box, size: tuple[int, int]) -> Box:
    """Return a box with a margin within the image."""
    longer = max(box.right - box.left, box.bottom - box.top)
    margin = max(_MIN_MARGIN, round(_MARGIN * longer))
    return Box(
        max(box.left - margin, 0),
        max(box.top - margin, 0),
        min(box.right + margin, size[0]),
        min(box.bottom + margin, size[1]),
    )


def _pasted(crops: list[tuple[Box, np.ndarray]], union: Box) -> np.ndarray:
    """Return the crops in one box, uint8 [F, h, w, 4]; they are released one by one."""
    stacked = np.zeros((len(crops), union.bottom - union.top, union.right - union.left, 4), np.uint8)
    for index, image in enumerate(stacked):
        box, pixels = crops[index]
        top, left = box.top - union.top, box.left - union.left
        image[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        crops[index] = (box, pixels[:0])
    return stacked


def _resized(stacked: np.ndarray, size: tuple[int, int], longer_side: int | None) -> np.ndarray:
    """Return crops [F, h, w, 4] of images whose longer side becomes ``longer_side``, if that is shorter."""
    if longer_side is None or longer_side >= max(size):
        return stacked
    factor = longer_side / max(size)
    height, width = (max(1, round(side * factor)) for side in stacked.shape[1:3])
    resized = np.empty((len(stacked), height, width, 4), np.uint8)
    for target, pixels in zip(resized, stacked, strict=True):
        floats = pixels.astype(np.float32) / 255
        colors, alpha = resize_with_alpha(floats[..., :3], floats[..., 3], (height, width))
        target[..., :3], target[..., 3] = np.rint(colors * 255), np.rint(alpha * 255)
    return resized
