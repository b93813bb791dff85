"""Holes of an object through which a plain background is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .components import component_areas, connected_to_border, dilate, erode, label_components
from .surface import MIN_TOLERANCE, color_distances

# Chosen by us on synthetic rings, handles, lattices, eyes and shirts; see tests/matting/test_holes.py.
_MIN_AREA = 9  # pixels
_AROUND = 4  # pixels of a region's box beside it
_MIN_SAMPLES = 36  # pixels, from which noise and shading can be compared
_MIN_SHARE = 0.002  # of the object's area, holes included
_LARGE_SHARE = 0.09  # of the object's area, from which a region is a hole wherever it is
_MAX_WALL = 1.5  # distance to the outside over the region's own radius: parts around a hole are thin
_MANY = 4  # regions of together a large share are the holes of a lattice
_MAX_ISLAND = 0.03  # of the region's area: a pupil in an eye
_MAX_BIAS = 0.25  # of the tolerance, between mean colors
_MAX_SLOPE = 0.75  # of the tolerance, across the region: shading
_SHARPNESS = 0.6  # of the outer edge's contrast
_MAX_POINTS = 800  # pixels of an outline that distances are measured between


class _Region(NamedTuple):
    """An enclosed region of the background's color.

    Attributes:
        box: Rows and columns of the image with a few pixels around the region.
        mask: Bool [h, w], the region in the box.
        share: Of the object's area, holes included.
    """

    box: tuple[slice, slice]
    mask: np.ndarray
    share: float


@dataclass(frozen=True, eq=False)
class _Background:
    """The background outside of an object.

    Attributes:
        tolerance: Color distance up to which a pixel is of its color.
        noise: [3] standard deviation of its residuals.
        noise_beside: [3] the same three to six pixels beside the object, where a codec leaves ringing.
        contrast: Distance to its color near the object's outer edge, see ``_edge_contrast``.
    """

    tolerance: float
    noise: np.ndarray
    noise_beside: np.ndarray
    contrast: float


def find_holes(residuals: np.ndarray, outside: np.ndarray, tolerance: float) -> np.ndarray:
    """Return those enclosed regions of the background's color that are background.

    A region is a hole if nothing tells its pixels from the background around the object: the same mean color
    and noise, no shading across it, an edge as sharp as the object's outer edge, and no island in it (a
    pupil in an eye). An eye or a shirt that is of exactly the background's color passes that, too. So a
    region must also look like a hole: it covers about a tenth of the object (a ring), or the part between it
    and the outside or the next hole is thin compared with it (a handle, a lattice), or there are many. A
    small region in the middle of a solid part, such as an eye, stays opaque, and so does what is shaded, such
    as most shirts. A shirt without any shading in front of a background without noise cannot be distinguished
    from a hole and becomes transparent.

    Args:
        residuals: [H, W, 3] color minus background.
        outside: [H, W] bool, pixels of the background that are connected to the border.
        tolerance: Color distance up to which a pixel is of the background's color.

    Returns:
        Bool [H, W].
    """
    distances = color_distances(residuals, np.zeros(3, residuals.dtype))
    found = np.zeros_like(outside)
    # Twice the tolerance takes in the shading around what is of exactly the background's color.
    candidates = _regions((distances <= 2 * tolerance) & ~dilate(outside), outside)
    if not candidates:
        return found
    background = _background(residuals, outside, tolerance)
    regions = [
        region for region in candidates if _is_background(region.mask, residuals[region.box], background)
    ]
    is_lattice = len(regions) >= _MANY and sum(region.share for region in regions) >= _LARGE_SHARE
    is_waiting = True
    while is_waiting:  # from the outside in: behind a hole may be another
        waiting = []
        for region in regions:
            if is_lattice or region.share >= _LARGE_SHARE or _is_near(region, outside | found):
                found[region.box] |= region.mask & (distances[region.box] <= tolerance)
            else:
                waiting.append(region)
        is_waiting, regions = len(waiting) < len(regions), waiting
    return found


def _regions(enclosed: np.ndarray, outside: np.ndarray) -> list[_Region]:
    """Return the components of a mask [H, W] that are large enough for holes of the object around them."""
    labels = label_components(enclosed)
    areas = component_areas(labels)
    if areas.max(initial=0) < _MIN_AREA:
        return []
    objects = label_components(~outside)
    object_areas = component_areas(objects)
    rows, columns = np.nonzero(labels)
    of_pixel = labels[rows, columns]
    order = np.argsort(of_pixel, kind="stable")
    ends = np.cumsum(areas)
    regions = []
    for label in np.nonzero(areas >= _MIN_AREA)[0]:
        own = order[ends[label - 1] : ends[label]]
        y, x = rows[own], columns[own]
        share = areas[label] / object_areas[objects[y[0], x[0]]]
        if share >= _MIN_SHARE:
            box = tuple(slice(max(axis.min() - _AROUND, 0), axis.max() + _AROUND + 1) for axis in (y, x))
            regions.append(_Region((box[0], box[1]), labels[box] == label, float(share)))
    return regions


def _background(residuals: np.ndarray, outside: np.ndarray, tolerance: float) -> _Background:
    """Return the statistics of the background outside of an object."""
    inner = erode(erode(outside))
    noise = residuals[inner if inner.any() else outside].std(axis=0)
    beside = inner & dilate(~outside, 6)
    noise_beside = np.maximum(noise, residuals[beside].std(axis=0) if beside.any() else 0)
    return _Background(tolerance, noise, noise_beside, _edge_contrast(residuals, outside))


def _edge_contrast(residuals: np.ndarray, region: np.ndarray) -> float:
    """Return the upper quartile of the distance to the background's color up to three pixels beside a region.

    The nearest pixels are mixed, and in thin parts most are.
    """
    beside = dilate(region, 3) & ~region
    return float(np.quantile(np.abs(residuals[beside]).max(axis=-1), 0.75)) if beside.any() else 0.0


def _is_background(mask: np.ndarray, residuals: np.ndarray, background: _Background) -> bool:
    """Return whether a region, mask [h, w] in its box, has the background's distribution and edge."""
    inner = mask
    for _ in range(2):  # mixed pixels and ringing are at the edge
        inner = erode(inner) if erode(inner).sum() >= _MIN_AREA else inner
    rows, columns = np.nonzero(inner)
    return (
        _has_distribution(residuals[rows, columns], rows, columns, background)
        and _area_of_islands(mask) <= _MAX_ISLAND * mask.sum()
        and _edge_contrast(residuals, mask) >= _SHARPNESS * background.contrast
    )


def _has_distribution(
    values: np.ndarray, rows: np.ndarray, columns: np.ndarray, background: _Background
) -> bool:
    """Return whether residuals [N, 3] at positions have the background's mean and noise, and no shading."""
    by_chance = 2 * background.noise_beside / np.sqrt(len(values))  # of the mean of so many pixels
    if (np.abs(values.mean(axis=0)) > _MAX_BIAS * background.tolerance + by_chance).any():
        return False
    spread, level = values.std(axis=0), MIN_TOLERANCE / 8  # one 8-bit level
    if (spread > 2 * background.noise_beside + 1.5 * level).any():
        return False
    if len(values) < _MIN_SAMPLES:
        return True
    if (spread < background.noise / 2 - level).any():
        return False  # smoother than the background: no noise of the camera or of its texture
    y, x = rows - rows.mean(), columns - columns.mean()
    slopes = np.linalg.lstsq(np.stack([np.ones(len(y)), y, x], axis=1), values, rcond=None)[0][1:]  # [2, 3]
    shading = np.abs(slopes) * [[np.ptp(y)], [np.ptp(x)]]  # across the region
    return bool(shading.max() <= _MAX_SLOPE * background.tolerance)


def _area_of_islands(mask: np.ndarray) -> int:
    """Return the number of pixels that a region, mask [h, w] in its box, encloses."""
    return int((~mask & ~connected_to_border(~mask)).sum())


def _outline(mask: np.ndarray) -> np.ndarray:
    """Return positions [N, 2] of pixels of a mask [H, W] beside others, at most a few hundred."""
    points = np.argwhere(mask & ~erode(mask))
    return points[:: -(-len(points) // _MAX_POINTS)]


def _is_near(region: _Region, outside: np.ndarray) -> bool:
    """Return whether what lies between a region and the outside is thin compared with the region.

    The region's size is twice its area over its outline: the radius of a disk, half the side of a square.
    """
    radius = 2 * region.mask.sum() / (region.mask & ~erode(region.mask)).sum()
    corner = [span.start for span in region.box]
    differences = (_outline(region.mask) + corner)[:, None] - _outline(outside)[None]  # [N, M, 2]
    wall = float(np.sqrt(np.square(differences).sum(axis=-1).min())) - 1  # the pixels between
    return wall <= _MAX_WALL * radius
