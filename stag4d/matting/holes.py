"""Holes of an object through which a plain background is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .components import component_areas, dilate, erode, label_components
from .surface import MIN_TOLERANCE, color_distances

# Chosen by us on synthetic rings, handles, lattices, eyes and shirts; see tests/matting/test_holes.py.
_MIN_AREA = 9  # pixels
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


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What separates holes from parts of the background's color.

    Attributes:
        residuals: [H, W, 3] color minus background.
        tolerance: Color distance up to which a pixel is of the background's color.
        noise: [3] standard deviation of the background's residuals.
        noise_beside: [3] the same three to six pixels beside the object, where a codec leaves ringing.
        contrast: Distance to the background's color near the object's outer edge, see ``_edge_contrast``.
    """

    residuals: np.ndarray
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
    as most shirts. A shirt without any shading in front of a background without noise cannot be told from a
    hole and becomes transparent.

    Args:
        residuals: [H, W, 3] color minus background.
        outside: [H, W] bool, pixels of the background that are connected to the border.
        tolerance: Color distance up to which a pixel is of the background's color.

    Returns:
        Bool [H, W].
    """
    found = np.zeros_like(outside)
    distances = color_distances(residuals, np.zeros(3, residuals.dtype))
    # Twice the tolerance takes in the shading around what is of exactly the background's color.
    labels = label_components((distances <= 2 * tolerance) & ~dilate(outside))
    areas = component_areas(labels)
    if areas.max(initial=0) < _MIN_AREA or not outside.any():
        return found
    objects = label_components(~outside)
    object_areas = component_areas(objects)
    evidence = _evidence(residuals, outside, tolerance)
    regions = []  # (pixels, share of the object)
    for label in np.nonzero(areas >= _MIN_AREA)[0]:
        region = labels == label
        share = areas[label] / object_areas[objects[region][0]]
        if share >= _MIN_SHARE and _is_background(region, evidence):
            regions.append((region, share))
    if len(regions) >= _MANY and sum(share for _, share in regions) >= _LARGE_SHARE:
        return np.any([region for region, _ in regions], axis=0) & (distances <= tolerance)
    waiting = True
    while waiting:  # from the outside in: behind a hole may be another
        waiting = False
        for index in range(len(regions) - 1, -1, -1):
            region, share = regions[index]
            if share >= _LARGE_SHARE or _wall(region, outside | found) <= _MAX_WALL * _radius(region):
                found |= region & (distances <= tolerance)
                del regions[index]
                waiting = True
    return found


def _evidence(residuals: np.ndarray, outside: np.ndarray, tolerance: float) -> _Evidence:
    """Return the statistics of the background outside of an object."""
    inner = erode(erode(outside))
    noise = residuals[inner if inner.any() else outside].std(axis=0)
    beside = inner & dilate(~outside, 6)
    noise_beside = np.maximum(noise, residuals[beside].std(axis=0) if beside.any() else 0)
    return _Evidence(residuals, tolerance, noise, noise_beside, _edge_contrast(residuals, outside))


def _edge_contrast(residuals: np.ndarray, region: np.ndarray) -> float:
    """Return the upper quartile of the distance to the background's color up to three pixels beside a region.

    The nearest pixels are mixed, and in thin parts most are.
    """
    beside = dilate(region, 3) & ~region
    return float(np.quantile(np.abs(residuals[beside]).max(axis=-1), 0.75)) if beside.any() else 0.0


def _is_background(region: np.ndarray, evidence: _Evidence) -> bool:
    """Return whether the pixels of a region [H, W] have the distribution of the background, and its edge."""
    rows, columns = (np.nonzero(region.any(axis=axis))[0] for axis in (1, 0))
    box = (  # the region and four pixels around it: it does not reach the border, which is outside
        slice(max(rows[0] - 4, 0), rows[-1] + 5),
        slice(max(columns[0] - 4, 0), columns[-1] + 5),
    )
    region, residuals = region[box], evidence.residuals[box]
    inner = region
    for _ in range(2):  # mixed pixels and ringing are at the edge
        inner = erode(inner) if erode(inner).sum() >= _MIN_AREA else inner
    y, x = np.nonzero(inner)
    values = residuals[y, x]  # [N, 3]
    by_chance = 2 * evidence.noise_beside / np.sqrt(len(values))  # of the mean of so many pixels
    if (np.abs(values.mean(axis=0)) > _MAX_BIAS * evidence.tolerance + by_chance).any():
        return False
    spread, level = values.std(axis=0), MIN_TOLERANCE / 8  # one 8-bit level
    if (spread > 2 * evidence.noise_beside + 1.5 * level).any():
        return False
    if len(values) >= _MIN_SAMPLES and (spread < evidence.noise / 2 - level).any():
        return False  # smoother than the background: no noise of the camera or of its texture
    plane = np.stack([np.ones(len(y)), y - y.mean(), x - x.mean()], axis=1)
    slopes = np.linalg.lstsq(plane, values, rcond=None)[0][1:]  # [2, 3] per pixel
    shading = (np.abs(slopes) * [[np.ptp(y)], [np.ptp(x)]]).max()  # across the region
    if len(values) >= _MIN_SAMPLES and shading > _MAX_SLOPE * evidence.tolerance:
        return False
    surroundings = label_components(~region)
    on_border = np.unique(
        np.concatenate([surroundings[0], surroundings[-1], surroundings[:, 0], surroundings[:, -1]])
    )
    islands = ~np.isin(surroundings, [0, *on_border])
    if islands.sum() > _MAX_ISLAND * region.sum():
        return False
    return _edge_contrast(residuals, region) >= _SHARPNESS * evidence.contrast


def _outline(mask: np.ndarray) -> np.ndarray:
    """Return positions [N, 2] of pixels of a mask [H, W] beside others, at most a few hundred."""
    points = np.argwhere(mask & ~erode(mask))
    return points[:: -(-len(points) // _MAX_POINTS)]


def _wall(region: np.ndarray, outside: np.ndarray) -> float:
    """Return the least thickness of what lies between a region and the outside, pixels."""
    differences = _outline(region)[:, None] - _outline(outside)[None]  # [N, M, 2]
    return float(np.sqrt(np.square(differences).sum(axis=-1).min())) - 1


def _radius(region: np.ndarray) -> float:
    """Return twice the area over the outline, pixels: the radius of a disk, half the side of a square."""
    return 2 * region.sum() / (region & ~erode(region)).sum()
