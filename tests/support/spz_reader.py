"""An independent reader of SPZ files, written after the format's specification."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np

from stag4d.scene import SH_C0


def read_spz(path: Path) -> tuple[np.ndarray, ...]:
    """Return means, log scales, quats wxyz, opacities and colors of an SPZ file."""
    content = gzip.decompress(path.read_bytes())
    magic, version, count, degree, fraction_bits, flags, _ = struct.unpack_from("<IIIBBBB", content)
    assert (magic, version, degree, flags) == (0x5053474E, 3, 0, 2)
    sizes = [9 * count, count, 3 * count, 3 * count, 4 * count]
    starts = np.cumsum([16, *sizes])
    assert struct.unpack("<III", content[starts[-1] :]) == (0xADBE0003, 4, 6)  # right, down, front
    positions, alphas, colors, scales, rotations = (
        content[start : start + size] for start, size in zip(starts, sizes, strict=False)
    )
    numbers = [
        int.from_bytes(positions[index : index + 3], "little", signed=True)
        for index in range(0, 9 * count, 3)
    ]
    quats = [_smallest_three(packed) for (packed,) in struct.iter_unpack("<I", rotations)]
    return (
        np.reshape(numbers, (count, 3)) / 2**fraction_bits,
        np.reshape(list(scales), (count, 3)) / 16 - 10,
        np.reshape(quats, (count, 4)),
        np.array(list(alphas)) / 255,
        0.5 + SH_C0 * (np.reshape(list(colors), (count, 3)) / 255 - 0.5) / 0.15,
    )


def _smallest_three(packed: int) -> list[float]:
    """Unpack a quaternion wxyz: the index of its largest component, sign and 9 bits of each other."""
    largest = packed >> 30
    others = [axis for axis in range(4) if axis != largest]
    xyzw = [0.0] * 4
    for axis, shift in zip(others, (20, 10, 0), strict=True):
        bits = packed >> shift & 1023
        xyzw[axis] = math.sqrt(0.5) * (bits & 511) / 511 * (-1 if bits & 512 else 1)
    xyzw[largest] = math.sqrt(1 - sum(value**2 for value in xyzw))
    return [xyzw[3], *xyzw[:3]]
