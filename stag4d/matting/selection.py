"""Which frames of a video are kept: evenly spaced ones that show the object."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..progress import Monitor, silent
from .alpha import alphas_of_frames, check_background, frame_alpha, frame_name
from .objects import areas_of, object_masks, parts_of_object

_logger = logging.getLogger(__name__)

_NAMED = 8  # frames or ranges of frames in a message


@dataclass(frozen=True, eq=False)
class Selection:
    """T kept frames of a video.

    Attributes:
        frames: T indices.
        alphas: [T, H, W].
        masks: Bool [T, H, W], where the object is, without stray pixels.
        num_candidates: Number of frames that T were chosen from: all, or those that show the object.
        warnings: What the user should know, in sentences.
    """

    frames: list[int]
    alphas: Tensor
    masks: Tensor
    num_candidates: int
    warnings: tuple[str, ...]


def select_frames(
    images: Tensor,
    alphas: Tensor | None,
    num_frames: int,
    names: Sequence[str] | None = None,
    monitor: Monitor = silent,
) -> Selection:
    """Choose evenly spaced frames, the first and the last included, of those that show the object.

    If an object is missing in one of the evenly spaced frames (a fade, a lost tracker), all frames are looked
    at, and those without object are left out as if the video had been cut there: the others follow one
    another at the video's rate.

    Args:
        images: [F, H, W, 3 or 4], see ``crop_video``.
        alphas: [F, H, W], or None.
        num_frames: Number of frames to keep; 0, or more than there are, keeps all.
        names: F names for messages; None numbers the images from 0.
        monitor: See ``alphas_of_frames``.

    Raises:
        ValueError: if no image has an object, or for images and alphas that ``object_alphas`` rejects.
    """
    candidates = list(range(len(images)))
    warnings: tuple[str, ...] = ()
    frames = _evenly_spaced(candidates, num_frames)
    found = alphas_of_frames(images, alphas, frames, "frames", names, monitor)  # [T, H, W]
    masks = object_masks(found)
    if not masks.flatten(1).any(dim=1).all():
        candidates = _frames_with_object(
            images, alphas, lambda: monitor("crop", len(frames), 2 * len(frames))
        )
        if not candidates:
            raise ValueError(
                f"frames: {frame_name(frames[0], names)} has no object, its largest alpha is "
                f"{found[0].max():g}; expected more than 0.5 somewhere, and no other image has an object."
            )
        if left_out := sorted(set(range(len(images))) - set(candidates)):
            warnings = (_message(left_out, len(images), names),)
            _logger.warning("%s", warnings[0])
            frames = _evenly_spaced(candidates, num_frames)
            found = alphas_of_frames(images, alphas, frames, "frames", names, monitor)
        masks = object_masks(found)
        is_lost = ~masks.flatten(1).any(dim=1)  # stray beside the kept frames, but not beside its neighbors
        masks[is_lost] = found[is_lost] > 0.5
    check_background(found, "frames")
    return Selection(frames, found, masks, len(candidates), warnings)


def list_frames(frames: Sequence[int], names: Sequence[str] | None) -> str:
    """Return the names of frames for a message; without names, numbers and ranges of numbers from 0."""
    if names is not None:
        shown = [names[frame] for frame in frames]
    else:
        starts = [frame for frame in frames if frame - 1 not in frames]
        ends = [frame for frame in frames if frame + 1 not in frames]
        shown = [f"{a}" if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
        shown[0] = ("image " if len(frames) == 1 else "images ") + shown[0]
    more = len(shown) - _NAMED
    return ", ".join(shown[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _evenly_spaced(candidates: list[int], num_frames: int) -> list[int]:
    """Return ``num_frames`` of the candidates, first and last included; 0 keeps all."""
    count = len(candidates)
    kept = torch.linspace(0, count - 1, min(num_frames or count, count), dtype=torch.float64).round().int()
    return [candidates[index] for index in kept.tolist()]


def _frames_with_object(images: Tensor, alphas: Tensor | None, check_cancel: Callable[[], None]) -> list[int]:
    """Return the indices of all frames that show the object, and of those without usable alpha."""
    areas, unusable = [], set()
    for frame in range(len(images)):
        try:
            alpha = frame_alpha(images[frame], None if alphas is None else alphas[frame], "")
        except ValueError:
            alpha = torch.zeros(1, 1)
            unusable.add(frame)  # an error if this frame is kept
        areas.append(areas_of((alpha > 0.5).cpu().numpy()))
        check_cancel()
    return [frame for frame, parts in enumerate(parts_of_object(areas)) if parts.any() or frame in unusable]


def _message(left_out: Sequence[int], count: int, names: Sequence[str] | None) -> str:
    """Return the message that frames are left out."""
    verb = "has" if len(left_out) == 1 else "have"
    return (
        f"{list_frames(left_out, names)} {verb} no object: {len(left_out)} of {count} frames are left out, "
        "and later frames follow without a gap."
    )
