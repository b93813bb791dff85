"""Sorting of the visible splats of each camera from near to far."""

from __future__ import annotations

import numpy as np

from ...kernels.compilation import compiled
from ...kernels.threads import run_chunks
from .layout import Splats

RADIX_BITS = 11
RADIX_SIZE = 1 << RADIX_BITS
RADIX_MASK = np.uint32(RADIX_SIZE - 1)
NUM_PASSES = 3  # for 32 bits; odd, so that a sort that begins in the first row ends in the second


@compiled
def radix_sort(
    chunk: int,
    num_chunks: int,
    depth_bits: np.ndarray,
    radii: np.ndarray,
    buffers: tuple[np.ndarray, np.ndarray, np.ndarray],
    num_visible: np.ndarray,
) -> None:
    """Sort the visible splats of each camera by depth, equal depths by index.

    Args:
        chunk: Index of this chunk, which contains whole cameras.
        num_chunks: Number of chunks.
        depth_bits: [S] depths, positive, reinterpreted as uint32: the bits sort in the same order.
        radii: [S, 2]; 0 where culled.
        buffers: Tuple of keys [2, S], ids [2, S] and digit offsets [C, RADIX_SIZE]. The second row of ids is
            the result: a camera's visible splats begin at its first splat's index.
        num_visible: [C], written.
    """
    keys, ids, offsets = buffers
    count = depth_bits.shape[0] // num_visible.shape[0]
    for camera in range(chunk, num_visible.shape[0], num_chunks):
        base = camera * count
        end = base
        for splat in range(base, base + count):
            if radii[splat, 0] > 0:
                keys[0, end] = depth_bits[splat]
                ids[0, end] = splat
                end += 1
        num_visible[camera] = end - base
        for radix_pass in range(NUM_PASSES):
            source, target, shift = radix_pass % 2, 1 - radix_pass % 2, np.uint32(radix_pass * RADIX_BITS)
            for digit in range(RADIX_SIZE):
                offsets[camera, digit] = 0
            for index in range(base, end):
                offsets[camera, (keys[source, index] >> shift) & RADIX_MASK] += 1
            # From the histogram of digits to the index where each digit's first key goes.
            total = base
            for digit in range(RADIX_SIZE):
                size = offsets[camera, digit]
                offsets[camera, digit] = total
                total += size
            # In order of the source, so that the sort is stable.
            for index in range(base, end):
                digit = (keys[source, index] >> shift) & RADIX_MASK
                keys[target, offsets[camera, digit]] = keys[source, index]
                ids[target, offsets[camera, digit]] = ids[source, index]
                offsets[camera, digit] += 1


def sort_by_depth(splats: Splats, num_cameras: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort the visible splats of each camera from near to far, equal depths by index.

    Args:
        splats: [S], flat.
        num_cameras: C.

    Returns:
        Splat ids [S], of which those of camera c begin at c N, and how many are visible [C].
    """
    num_splats = len(splats.depths)
    keys, ids = np.empty((2, num_splats), np.uint32), np.empty((2, num_splats), np.int32)
    offsets, num_visible = np.empty((num_cameras, RADIX_SIZE), np.int64), np.empty(num_cameras, np.int64)
    depth_bits = splats.depths.view(np.uint32)
    run_chunks(radix_sort, num_cameras, depth_bits, splats.radii, (keys, ids, offsets), num_visible)
    return ids[1], num_visible
