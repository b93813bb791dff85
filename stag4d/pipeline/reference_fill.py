"""The field of view of an input video whose object is larger or smaller than in the views of it.

Sources of views crop their input to a square of their own; the video that is given need not have the same.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from ..geometry import SAME_POSE, fill, fills_differ, have_same_pose, reference_intrinsics
from ..view_track import ViewTrack, as_floats

_logger = logging.getLogger(__name__)

# Heights of an object in views at one elevation differ by perspective only; this is more than in our toys.
_PERSPECTIVE = 0.2
_LEVEL = 0.26  # sine of the largest elevation, 15 degrees, of views whose heights are compared


def with_fill_of_views(reference: ViewTrack, views: Sequence[ViewTrack]) -> ViewTrack:
    """Return an input video with intrinsics with which its object is as large as in the views, and log it.

    The fill of the images is compared with that of a view from the same camera. Where there is none, heights
    are compared with those of the views at the same elevation, which differ by perspective, too: only ratios
    beyond 20 % count then. Without such views nothing is known, and nothing changes.

    Args:
        reference: The video.
        views: The views, which are kept.

    Returns:
        The video, with focals multiplied by the ratio of the fills.
    """
    viewmat = reference.cameras.viewmats[0]
    twins = [view for view in views if have_same_pose(view.cameras.viewmats[0], viewmat)]
    if twins:
        of_reference, of_views = _comparable_fills(reference, twins[0])
        differ = fills_differ(of_reference, of_views)
    else:
        heights = [_height(view) for view in views if _is_level_with(view, reference)]
        if not heights:
            return reference
        of_reference, of_views = _height(reference), torch.tensor(heights).median().item()
        differ = abs(of_reference - of_views) > _PERSPECTIVE * max(of_reference, of_views)
    if not differ or min(of_reference, of_views) <= 0:
        return reference
    _logger.warning(
        "reference: the object takes %.0f %% of the frames and %.0f %% of the views; the focal length of the "
        "frames is changed so that both have the same size. The frames as cropped by the generator need no "
        "change.",
        100 * of_reference,
        100 * of_views,
    )
    cameras = reference.cameras
    cameras = replace(cameras, Ks=reference_intrinsics(cameras.Ks, of_reference, of_views))
    pose = reference.pose
    if pose is not None:
        tangent = math.tan(math.radians(pose.fovy_deg) / 2) * of_views / of_reference
        pose = replace(pose, fovy_deg=math.degrees(2 * math.atan(tangent)))
    return replace(reference, cameras=cameras, pose=pose)


def _is_level_with(view: ViewTrack, reference: ViewTrack) -> bool:
    """Return whether both cameras have the same elevation, near 0, and no roll."""
    ups = [track.cameras.viewmats[0, :3, 1] for track in (view, reference)]  # [3] world y in camera axes
    return bool((ups[0] - ups[1]).abs().max() < SAME_POSE) and abs(float(ups[1][2])) <= _LEVEL


def _comparable_fills(reference: ViewTrack, view: ViewTrack) -> tuple[float, float]:
    """Return the fills of both; of the heights only if the images have different aspect ratios."""
    (height, width), (view_height, view_width) = reference.images.shape[1:3], view.images.shape[1:3]
    if height * view_width == width * view_height:
        return fill(as_floats(reference.alphas)), fill(as_floats(view.alphas))
    return _height(reference), _height(view)


def _height(track: ViewTrack) -> float:
    """Return the share of the image height that the object takes over all frames."""
    rows = (as_floats(track.alphas) > 0.5).any(dim=2).any(dim=0).nonzero()  # [n, 1]
    return (rows.max() - rows.min() + 1).item() / track.images.shape[1] if len(rows) else 0.0
