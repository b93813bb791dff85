"""Framing: the distances and focals at which the images of any source show an object at the same size.

What an image spans at the object counts: its half extent is that of the default camera, 0.91 world units. The
field of view of the source is kept and the distance chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .orbit import DEFAULT_FOVY_DEG, DEFAULT_RADIUS
from .projection import Projection

HALF_EXTENT = DEFAULT_RADIUS * math.tan(math.radians(DEFAULT_FOVY_DEG / 2))  # world units, at the origin
FILL_TOLERANCE = 0.05  # relative difference of fills above which objects differ in size
_SMALL_REACH = 0.4  # share of the half extent below which an object is enlarged
_LARGER_REACH = 0.8  # share that it then reaches


def framing_radius(fovy_deg: float) -> float:
    """Return the distance at which a pinhole camera spans the half extent above and below the origin.

    Args:
        fovy_deg: Vertical field of view, degrees.

    Returns:
        World units.
    """
    return HALF_EXTENT / math.tan(math.radians(fovy_deg) / 2)


def ortho_intrinsics(half_extents: Sequence[float], width: int, height: int) -> Tensor:
    """Return orthographic matrices with square pixels and a centered principal point.

    Args:
        half_extents: C vertical half extents, world units.
        width: Image width, pixels.
        height: Image height, pixels.

    Returns:
        Float32 [C, 3, 3]; focal = height / (2 half extent), pixels per world unit.
    """
    focals = [0.5 * height / half_extent for half_extent in half_extents]
    return torch.tensor(
        [[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]] for focal in focals], dtype=torch.float32
    ).reshape(-1, 3, 3)


def spanned_tangent(K: Tensor, width: int, height: int) -> float:
    """Return what an image spans from its principal point to its farthest edge, per unit of depth.

    Args:
        K: [3, 3] intrinsics, pixels.
        width: Image width, pixels.
        height: Image height, pixels.

    Returns:
        Tangent of the angle of a pinhole camera, world units of an orthographic one.
    """
    (fx, _, cx), (_, fy, cy), _ = K.tolist()
    return max(max(cx, width - cx) / fx, max(cy, height - cy) / fy)


def framing_scale(
    K: Tensor, width: int, height: int, projection: Projection = "pinhole", distance: float = 1.0
) -> float:
    """Return the scale from a source's world to ours with which the half extent spans a camera's whole image.

    The longer side of the image counts. The scale times the distance is the camera's radius in our world.

    Args:
        K: [3, 3] intrinsics, pixels.
        width: Image width, pixels.
        height: Image height, pixels.
        projection: Projection of the camera.
        distance: Distance of the camera from the center of the object in the source's world; it does not
            matter to an orthographic camera.

    Returns:
        World units per unit of the source.
    """
    tangent = spanned_tangent(K, width, height)
    return HALF_EXTENT / (tangent if projection == "ortho" else tangent * distance)


def enlargement(alphas: Tensor, K: Tensor) -> float:
    """Return the factor by which a small object is enlarged, see ``framing_scale``.

    An object that reaches less than 40 % of the half extent in all frames is enlarged to 80 %; this rule is
    ours.

    Args:
        alphas: [F, H, W] of one camera.
        K: [3, 3] intrinsics, pixels.

    Returns:
        At least 1; 1 for an object that is larger or nowhere visible.
    """
    height, width = alphas.shape[-2:]
    visible = (alphas > 0.5).any(dim=0)  # [H, W]
    if not visible.any():
        return 1.0
    rows, columns = visible.any(dim=1).nonzero(), visible.any(dim=0).nonzero()
    box = columns[0].item(), rows[0].item(), columns[-1].item() + 1, rows[-1].item() + 1
    return enlargement_of_box(box, K, width, height)


def enlargement_of_box(box: tuple[float, float, float, float], K: Tensor, width: int, height: int) -> float:
    """Return the factor by which a small object is enlarged, by the box that holds it in all frames.

    Args:
        box: Left, top, right and bottom edges, pixels.
        K: [3, 3] intrinsics, pixels.
        width: Image width, pixels.
        height: Image height, pixels.

    Returns:
        As ``enlargement``.
    """
    left, top, right, bottom = box
    fx, cx, fy, cy = (K[i, j].item() for i, j in ((0, 0), (0, 2), (1, 1), (1, 2)))
    reached = max(abs(left - cx) / fx, abs(right - cx) / fx, abs(top - cy) / fy, abs(bottom - cy) / fy)
    reach = reached / spanned_tangent(K, width, height)
    return _LARGER_REACH / reach if reach < _SMALL_REACH else 1.0


def fill(alphas: Tensor) -> float:
    """Return the share of an image's side that the object's bounding box takes.

    Args:
        alphas: [F, H, W]; the box holds the object of all frames.

    Returns:
        The larger of the horizontal and the vertical share, 0 to 1; 0 if no pixel is above 0.5.
    """
    visible = (alphas > 0.5).any(dim=0)  # [H, W]
    shares = []
    for axis in (0, 1):
        occupied = visible.any(dim=axis).nonzero()  # [n, 1]
        side = visible.shape[1 - axis]
        shares.append((occupied.max() - occupied.min() + 1).item() / side if len(occupied) else 0.0)
    return max(shares)


def fills_differ(reference: float, views: float) -> bool:
    """Return whether two fills differ by more than 5 %, so that the reference needs other intrinsics."""
    return abs(reference - views) > FILL_TOLERANCE * max(reference, views)


def reference_intrinsics(Ks_views: Tensor, fill_reference: float, fill_views: float) -> Tensor:
    """Return the intrinsics of reference frames that show the object at another size than the views do.

    Args:
        Ks_views: [..., 3, 3] of the views, which are kept, for the size of the reference frames.
        fill_reference: Share of the reference frames' side that the object takes.
        fill_views: Share of the views' side that it takes, at azimuth 0 where there is such a view.

    Returns:
        [..., 3, 3]; the focals are multiplied by fill_reference / fill_views.

    Raises:
        ValueError: if a fill is not positive.
    """
    if min(fill_reference, fill_views) <= 0:
        raise ValueError(
            f"framing: the object fills {fill_reference:g} of the reference frames and {fill_views:g} of the "
            "views; expected an object in both."
        )
    Ks = Ks_views.clone()
    Ks[..., 0, 0] *= fill_reference / fill_views
    Ks[..., 1, 1] *= fill_reference / fill_views
    return Ks
