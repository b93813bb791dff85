"""SPZ files: Gaussians quantized to a quarter of the size of a PLY, in the 3DGS coordinate frame.

The format's own frame is y up, but ComfyUI, Spark, gsply and the format's own converter from PLY read and
write the coordinates of a PLY unchanged. So do we, and add the extension that tells newer readers the frame.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from ..atomic import write_whole
from ..geometry.splat_frame import flip_splat_frame
from ..scene import Gaussians
from .packages import importing
from .path_writers import written_bytes

SpzVersion = Literal[2, 3]  # version 4 is not gzip, and few readers know it
_VERSION_OFFSET = 4  # of the version in the header
_FLAGS_OFFSET = 14  # of the flags byte in the header
_HAS_EXTENSIONS = 2  # bit of the flags
_FRAME_EXTENSION = struct.pack("<III", 0xADBE0003, 4, 6)  # SPZ_ADOBE_coordinate_system: right, down, front
_MAX_COORDINATE = 2048.0  # world units: coordinates are signed 24-bit fixed-point numbers, 12 bits fractional


def encode_spz(gaussians: Gaussians, spz_version: SpzVersion = 3) -> bytes:
    """Encode Gaussians as SPZ.

    Largest errors of the quantization: centers 1.3e-4 world units, standard deviations 3.2 % (between 4.6e-5
    and 375 units), rotations half a degree, opacities and colors 0.004.

    Version 2 is for older readers: quaternions are stored by x, y and z, so that the error grows to 12
    degrees where w is near 0, and the extension is left out, since such readers may reject it.

    Args:
        gaussians: N Gaussians in world coordinates, y up.
        spz_version: 3, or 2 for readers that do not know version 3.

    Returns:
        The content of the file.

    Raises:
        RuntimeError: if the package gsply is not installed.
        ValueError: if a coordinate of a center is 2048 units or more, or not finite, or there is no such
            version.
    """
    if spz_version not in get_args(SpzVersion):
        raise ValueError(f"spz: version {spz_version}; expected 2 or 3.")
    with importing("gsply", "spz"):
        import gsply
    farthest = float(gaussians.means.detach().abs().max()) if len(gaussians) else 0.0
    if not farthest < _MAX_COORDINATE:  # so written, NaN is rejected too
        raise ValueError(f"spz: a center is {farthest:g} units away; expected below {_MAX_COORDINATE:g}.")
    means, quats = flip_splat_frame(gaussians.means, torch.nn.functional.normalize(gaussians.quats, dim=-1))
    columns = (means, gaussians.log_scales, quats, gaussians.logit_opacities, gaussians.sh0[:, 0])
    centers, log_scales, rotations, logits, sh0 = (
        column.detach().cpu().float().numpy() for column in columns
    )
    table = gsply.GSData.from_arrays(centers, log_scales, rotations, logits, sh0, format="ply")
    content = written_bytes("scene.spz", lambda path: gsply.write_spz(path, table, version=3))
    return _add_frame_extension(content) if spz_version == 3 else _as_version_2(content, rotations)


def write_spz(path: str | Path, gaussians: Gaussians, spz_version: SpzVersion = 3) -> None:
    """Write Gaussians as an SPZ file, see ``encode_spz``; its folder is made when it does not exist.

    Raises:
        RuntimeError: if the package gsply is not installed or the file cannot be written.
        ValueError: see ``encode_spz``.
    """
    write_whole(path, encode_spz(gaussians, spz_version))


def _as_version_2(content: bytes, quats: np.ndarray) -> bytes:
    """Return a file of version 3 without spherical harmonics as one of version 2.

    Args:
        content: The file.
        quats: [N, 4] its rotations, unit quaternions wxyz.
    """
    raw = gzip.decompress(content)
    packed = bytearray(raw[: len(raw) - 4 * len(quats)])
    packed[_VERSION_OFFSET] = 2
    xyz = np.where(quats[:, :1] < 0, -1, 1) * quats[:, 1:]  # w is positive, and follows from the unit length
    rotations = np.rint((xyz + 1) * 127.5).astype(np.uint8)
    return gzip.compress(bytes(packed) + rotations.tobytes(), compresslevel=6, mtime=0)


def _add_frame_extension(content: bytes) -> bytes:
    """Append the extension that names the coordinate frame; readers that do not know it ignore it."""
    packed = bytearray(gzip.decompress(content))
    packed[_FLAGS_OFFSET] |= _HAS_EXTENSIONS
    return gzip.compress(bytes(packed) + _FRAME_EXTENSION, compresslevel=6, mtime=0)  # no time: same bytes
