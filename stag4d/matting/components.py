"""Connected components of masks: labels, areas, and those that touch the image border or are specks."""

from __future__ import annotations

import numpy as np

SPECK_SHARE = 0.01  # of the largest component's area; smaller components are noise


def label_components(mask: np.ndarray) -> np.ndarray:
    """Label the 4-connected components of a mask.

    Horizontal runs of pixels are joined with union-find where they touch between rows, so that Python loops
    over pairs of runs and not over pixels.

    Args:
        mask: [H, W] bool.

    Returns:
        Int64 [H, W]: 0 outside the mask, components from 1 in the order of their first pixel, row by row.
    """
    starts = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]  # first pixels of the runs
    run_of_pixel = np.cumsum(starts).reshape(mask.shape) - 1  # [H, W], valid inside the mask
    touches = mask[:-1] & mask[1:]
    # Keep one pixel of each pair of touching runs: the first column that both cover.
    touches[:, 1:] &= starts[:-1, 1:] | starts[1:, 1:] | ~touches[:, :-1]
    parents = list(range(int(starts.sum())))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]  # path halving
            run = parents[run]
        return run

    pairs = np.stack([run_of_pixel[:-1][touches], run_of_pixel[1:][touches]], axis=1)  # [P, 2] above, below
    for above, below in pairs.tolist():
        first, second = sorted((root(above), root(below)))
        parents[second] = first  # the earlier run is the root, which orders the labels
    roots = np.array([root(run) for run in range(len(parents))], dtype=np.int64)
    label_of_run = np.unique(roots, return_inverse=True)[1] + 1
    labels = np.zeros(mask.shape, dtype=np.int64)
    labels[mask] = label_of_run[run_of_pixel[mask]]
    return labels


def component_areas(labels: np.ndarray) -> np.ndarray:
    """Return the number of pixels of each label [0..L], int64 [L + 1]; 0 for label 0, outside the mask."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    return areas


def connected_to_border(mask: np.ndarray) -> np.ndarray:
    """Return the components of a mask [H, W] that touch the image border, bool [H, W]."""
    labels = label_components(mask)
    on_border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    is_connected = np.zeros(labels.max() + 1, dtype=bool)
    is_connected[on_border] = True
    is_connected[0] = False  # label 0 is outside the mask
    return is_connected[labels]


def drop_specks(mask: np.ndarray) -> np.ndarray:
    """Return a mask [H, W] without components much smaller than the largest, bool [H, W]."""
    labels = label_components(mask)
    areas = component_areas(labels)
    is_kept = areas >= max(SPECK_SHARE * areas.max(), 1)
    return is_kept[labels]


def erode(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask [H, W] whose eight neighbors are in it or beyond the image."""
    padded = np.pad(mask, 1, constant_values=True)
    narrow = padded[:, :-2] & padded[:, 1:-1] & padded[:, 2:]  # [H + 2, W]
    return narrow[:-2] & narrow[1:-1] & narrow[2:]


def dilate(mask: np.ndarray, radius: int = 1) -> np.ndarray:
    """Return the pixels within a square of half width ``radius`` around those of a mask [H, W]."""
    for _ in range(radius):
        mask = ~erode(~mask)
    return mask
