"""The object in the alphas of a video: its components without stray pixels, and the frames that show it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .components import SPECK_SHARE, component_areas, label_components

_SURE_SHARE = 0.05  # of the object's area, from which a component is part of it even in a single frame
_SIMILAR = 3.0  # ratio of the areas of a component in two frames
_WINDOW = 2  # frames before and after, in which the object's size is looked for


def object_masks(alphas: Tensor) -> Tensor:
    """Return where the object is in each frame of a video, without stray pixels; see ``parts_of_object``.

    Args:
        alphas: [T, H, W], 0..1.

    Returns:
        Bool [T, H, W]; a frame of stray pixels only is all False.
    """
    masks = (alphas > 0.5).cpu().numpy()
    parts = parts_of_object([areas_of(mask) for mask in masks])
    for mask, is_part in zip(masks, parts, strict=True):
        if not is_part[1:].all():
            mask &= is_part[label_components(mask)]
    return torch.from_numpy(masks).to(alphas.device)


def areas_of(mask: np.ndarray) -> np.ndarray:
    """Return the areas of a mask's components, int64 [L + 1], 0 for label 0; see ``label_components``."""
    return component_areas(label_components(mask))


def parts_of_object(areas: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Separate the object from stray pixels by component area over time.

    A component is compared with the largest one of its frame or, if that is larger, with the second largest
    of the largest ones of five frames. This reference area is robust to one frame with too few or too many
    pixels. The component is part of the object from 5 % of the reference area on, and from 1 % on if the
    frame before or after has a component of similar area, as a thrown ball has; else it is stray.

    Args:
        areas: Areas of the components of T frames, each [L + 1] with 0 for label 0.

    Returns:
        For each frame, which components are parts, bool [L + 1]; False for label 0.
    """
    largest = [int(each.max(initial=0)) for each in areas]
    parts = []
    for frame, own in enumerate(areas):
        window = sorted(largest[max(frame - _WINDOW, 0) : frame + _WINDOW + 1])
        reference = max(largest[frame], window[-2] if len(window) > 1 else 0)
        neighbors = [areas[near] for near in (frame - 1, frame + 1) if 0 <= near < len(areas)]
        is_part = (own > 0) & (own >= SPECK_SHARE * reference)
        for label in np.nonzero(is_part & (own < _SURE_SHARE * reference))[0]:
            is_part[label] = _has_similar(own[label], neighbors)
        parts.append(is_part)
    return parts


def _has_similar(area: int, neighbors: Sequence[np.ndarray]) -> bool:
    """Return whether a neighboring frame has a component of similar area, or there is no such frame."""
    ratios = [np.maximum(area, other[1:]) / np.maximum(np.minimum(area, other[1:]), 1) for other in neighbors]
    return not neighbors or any(bool((ratio <= _SIMILAR).any()) for ratio in ratios)
