"""The videos of views, and of the input video, cut to the same number of frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from comfy_api.latest import Input

from ...stag4d.data import check_equal_fps
from ...stag4d.geometry import CameraRig
from ...stag4d.pipeline import ObjectImages, shortest_length
from .object_images import object_frames, object_images, video_frames

_REFERENCE = "reference"


class VideoViews(NamedTuple):
    """Images of each view and of the input video, or None, F each, and their frame rate."""

    views: list[ObjectImages]
    reference: ObjectImages | None
    fps: float


def read_videos(
    views: Mapping[str, Input.Video],
    masks: Mapping[str, torch.Tensor],
    reference: tuple[Input.Video | torch.Tensor | None, torch.Tensor | None],
    fps: float,
) -> VideoViews:
    """Return the images of videos.

    Args:
        views: A VIDEO per view, ``view0``, ``view1`` and so on.
        masks: MASK of some of them, ``mask0`` and so on.
        reference: VIDEO or IMAGE of the input video or None, and its MASK or None.
        fps: Frame rate of all; 0 for that of the videos.

    Raises:
        ValueError: if frame rates differ, a mask does not fit, or a video has no object.
    """
    names = sorted((name for name, video in views.items() if video is not None), key=_number)
    if not names:
        raise ValueError("views: no videos; expected at least one.")
    given = {name: masks.get(f"mask{_number(name)}") for name in names}
    _check_masks(names, masks)
    read = {name: video_frames(views[name]) for name in names}
    source, given[_REFERENCE] = reference
    is_video = source is not None and not isinstance(source, torch.Tensor)
    if is_video:
        read[_REFERENCE] = video_frames(source)
    if not fps:
        check_equal_fps([rate for _, rate in read.values()], ", ".join(read))
        fps = read[names[0]][1]
    frames = {name: images for name, (images, _) in read.items()}
    if isinstance(source, torch.Tensor):
        frames[_REFERENCE] = source
    read.clear()  # else each video stays in memory until all are converted
    count = shortest_length({name: len(images) for name, images in frames.items()})
    found = {}
    for name in list(frames):
        mask = given[name]
        if mask is not None and len(mask) != len(frames[name]):
            raise ValueError(
                f"{name}: {len(mask)} masks for {len(frames[name])} frames; expected one per frame."
            )
        images = frames.pop(name)[:count]  # the whole video is not kept
        convert = object_images if images.is_floating_point() else object_frames
        found[name] = convert(name, images, None if mask is None else mask[:count])
    return VideoViews([found[name] for name in names], found.get(_REFERENCE), fps)


def check_reference_sockets(has_video: bool, has_images: bool) -> None:
    """Raise ValueError if the input video comes from two sockets."""
    if has_video and has_images:
        raise ValueError(
            "reference: connected, and reference_images too; expected one of them. Disconnect the other."
        )


def check_video_count(count: int, rig: CameraRig, name: str) -> None:
    """Raise ValueError unless there is a video for each camera of a rig."""
    if count != rig.num_images:
        raise ValueError(f"views: {count} videos for rig {name}, which has {rig.num_images} cameras.")


def _check_masks(names: list[str], masks: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError for a mask without a video of its number."""
    for name, mask in masks.items():
        if mask is not None and f"view{_number(name)}" not in names:
            raise ValueError(f"{name}: there is no view{_number(name)}; expected masks of connected videos.")


def _number(name: str) -> int:
    """Return the number at the end of the name of a socket."""
    return int("".join(character for character in name if character.isdigit()))
