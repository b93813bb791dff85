"""Read SPZ files of the versions 1 to 3, without a library.

The layout and the decoding formulas are those of the format's reference implementation (nianticlabs/spz): a
gzip member with a header of 16 bytes, then the positions of all N Gaussians, their opacities, colors, scales,
rotations and spherical harmonics, then extensions.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..geometry.splat_frame import flip_splat_frame
from ..regular_file import check_regular_file
from ..scene import Gaussians, check_values
from .validity import SMALLEST_ALPHA, check_expansion

_GZIP, _MAGIC = b"\x1f\x8b", b"NGSP"
_HEADER = struct.Struct("<4sIIBBBx")
_VERSIONS = (1, 2, 3)
_COEFFICIENTS = {0: 0, 1: 9, 2: 24, 3: 45, 4: 72}  # bytes of spherical harmonics by degree
_MAX_EXTENSION_BYTES = 2**16
_HAS_EXTENSIONS = 2  # bit of the flags
_FRAME_EXTENSION = 0xADBE0003  # SPZ_ADOBE_coordinate_system
_RIGHT_UP_BACK, _RIGHT_DOWN_FRONT = 4, 6  # its values for our world and for the 3DGS frame


class _Spz(NamedTuple):
    """The decompressed content: the header's fields, and the bytes after it."""

    version: int
    num_gaussians: int
    num_rest: int
    fractional_bits: int
    flags: int
    payload: bytes


def read_spz(path: str | Path) -> Gaussians:
    """Read the Gaussians of an SPZ file; spherical harmonics above degree 0 are ignored.

    Files that do not say otherwise are read in the coordinate frame of PLY, as most programs write them.

    Args:
        path: The file.

    Returns:
        Gaussians in world coordinates, y up; float32.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no SPZ file, of an unknown version or coordinate frame, damaged or truncated.
    """
    path = Path(path)
    check_regular_file(path, str(path), "an SPZ file")
    try:
        spz = _decompress(path.read_bytes())
        gaussians = _decode(spz)
        check_values(gaussians.as_dict(), "spz")
        if _coordinate_frame(spz) == _RIGHT_DOWN_FRONT:
            means, quats = flip_splat_frame(gaussians.means, gaussians.quats)
            gaussians = replace(gaussians, means=means, quats=quats)
    except (OSError, ValueError, zlib.error, struct.error) as error:
        raise ValueError(
            f"{path}: not an SPZ file, or damaged ({error}); expected version 1 to 3."
        ) from error
    return gaussians


def _decompress(content: bytes) -> _Spz:
    """Return the content of a file; raises ValueError or zlib.error if it is malformed.

    No more is decompressed than the header declares.
    """
    if content.startswith(_MAGIC):
        raise ValueError("version 4, which is compressed with Zstandard; save it as version 3")
    if not content.startswith(_GZIP):
        raise ValueError("it does not begin as a gzip file")
    inflater = zlib.decompressobj(wbits=31)
    head = inflater.decompress(content, _HEADER.size)
    if len(head) < _HEADER.size:
        raise ValueError("it ends within the header")
    magic, version, count, degree, fractional_bits, flags = _HEADER.unpack(head)
    if magic != _MAGIC or version not in _VERSIONS or degree not in _COEFFICIENTS:
        raise ValueError(f"magic {magic!r}, version {version}, spherical harmonics of degree {degree}")
    if not 0 <= fractional_bits <= 24:
        raise ValueError(f"{fractional_bits} fractional bits; expected at most 24")
    length = count * (sum(_section_sizes(version)) + _COEFFICIENTS[degree])
    check_expansion(len(content), 4 * length)  # decoded to float32
    payload = inflater.decompress(inflater.unconsumed_tail, length + _MAX_EXTENSION_BYTES)
    if len(payload) < length:
        raise ValueError(f"it ends after {len(payload)} of {length} bytes of Gaussians")
    return _Spz(version, count, count * _COEFFICIENTS[degree], fractional_bits, flags, payload)


def _section_sizes(version: int) -> tuple[int, ...]:
    """Return the bytes per Gaussian of positions, opacities, colors, scales and rotations."""
    return (6 if version == 1 else 9, 1, 3, 3, 4 if version == 3 else 3)


def _decode(spz: _Spz) -> Gaussians:
    """Return the Gaussians in the coordinate frame of the file."""
    sections, begin = [], 0
    for size in _section_sizes(spz.version):
        section = np.frombuffer(spz.payload, np.uint8, size * spz.num_gaussians, begin)
        sections.append(section.reshape(spz.num_gaussians, size))
        begin += size * spz.num_gaussians
    positions, opacities, colors, scales, rotations = sections
    alphas = np.clip(opacities[:, 0] / 255, SMALLEST_ALPHA, 1 - SMALLEST_ALPHA)
    decoded = {
        "means": _decode_positions(positions, spz),
        "log_scales": scales / 16 - 10,
        "quats": _smallest_three(rotations) if spz.version == 3 else _first_three(rotations),
        "logit_opacities": np.log(alphas / (1 - alphas)),
        "sh0": ((colors / 255 - 0.5) / 0.15)[:, None],
    }
    return Gaussians(**{name: torch.from_numpy(values).float() for name, values in decoded.items()})


def _decode_positions(positions: np.ndarray, spz: _Spz) -> np.ndarray:
    """Return centers [N, 3] from float16 (version 1) or signed fixed-point numbers of 24 bits [N, 6 or 9]."""
    if spz.version == 1:
        return np.ascontiguousarray(positions).view("<f2").astype(np.float64)
    parts = positions.reshape(spz.num_gaussians, 3, 3).astype(np.int32)
    numbers = parts[..., 0] | parts[..., 1] << 8 | parts[..., 2] << 16
    return (numbers - ((numbers & 0x800000) << 1)) / 2.0**spz.fractional_bits


def _first_three(rotations: np.ndarray) -> np.ndarray:
    """Return quaternions wxyz [N, 4] from x, y and z of unit ones with a positive w, a byte each [N, 3]."""
    xyz = rotations / 127.5 - 1
    w = np.sqrt(np.maximum(0, 1 - np.square(xyz).sum(axis=1, keepdims=True)))
    return np.concatenate([w, xyz], axis=1)


def _smallest_three(rotations: np.ndarray) -> np.ndarray:
    """Return quaternions wxyz [N, 4] from 4 bytes each [N, 4].

    From the highest bit: the index in xyzw of the largest component, which is positive, in 2 bits, then the
    others in order, each a sign and a magnitude of 9 bits in units of sqrt(1/2) / 511.
    """
    packed = np.ascontiguousarray(rotations).view("<u4")[:, 0]
    largest = packed >> 30
    quats = np.zeros((len(packed), 4))  # xyzw
    shift = np.zeros_like(packed)
    for axis in (3, 2, 1, 0):
        bits = packed >> shift
        magnitude = (bits & 511) * (np.sqrt(0.5) / 511)
        quats[:, axis] = np.where(largest == axis, 0, np.where(bits & 512, -magnitude, magnitude))
        shift += np.where(largest == axis, 0, 10).astype(shift.dtype)
    omitted = np.sqrt(np.maximum(0, 1 - np.square(quats).sum(axis=1)))
    quats[np.arange(len(packed)), largest] = omitted
    return np.roll(quats, 1, axis=1)


def _coordinate_frame(spz: _Spz) -> int:
    """Return the coordinate frame that an extension names, by default that of PLY; raises for others."""
    position = spz.num_gaussians * sum(_section_sizes(spz.version)) + spz.num_rest
    while spz.flags & _HAS_EXTENSIONS and position + 8 <= len(spz.payload):
        kind, length = struct.unpack_from("<II", spz.payload, position)
        if kind == _FRAME_EXTENSION and length >= 4:
            (frame,) = struct.unpack_from("<I", spz.payload, position + 8)
            if frame not in (0, _RIGHT_UP_BACK, _RIGHT_DOWN_FRONT):  # 0: not specified
                raise ValueError(f"coordinate frame {frame}; expected right, up, back or right, down, front")
            return frame or _RIGHT_DOWN_FRONT
        position += 8 + length
    return _RIGHT_DOWN_FRONT
