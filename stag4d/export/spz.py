"""Gaussians as SPZ: a PLY quantized to a quarter of its size, in the same frame.

The format's own frame is y-up, but the host, Spark, gsply and the format's converter from PLY read and write
numbers as they stand in a PLY. So do we, and add the record by which newer readers know it.
"""

from __future__ import annotations

import gzip
import struct
import tempfile
from pathlib import Path

import torch

from ..atomic import write_whole
from ..geometry.splat_frame import flip_splat_frame
from ..scene import Gaussians

_VERSION = 3  # gzip and exact quaternions; not every reader knows version 4
_FLAGS = 14  # byte of the header
_HAS_EXTENSIONS = 2
_IN_3DGS_FRAME = struct.pack("<III", 0xADBE0003, 4, 6)  # SPZ_ADOBE_coordinate_system: right, down, front
_REACH = 2048.0  # world units that positions of 24 bits hold, 12 of them behind the point


def encode_spz(gaussians: Gaussians) -> bytes:
    """Return Gaussians as an SPZ file.

    It keeps centers within 1.3e-4 world units of what they were, standard deviations within 3.2 % (from
    4.6e-5 to 375 units), rotations within half a degree, opacities and colors within 0.004.

    Args:
        gaussians: In our world.

    Raises:
        RuntimeError: if the package gsply is not installed.
        ValueError: if a center lies too far out.
    """
    try:
        import gsply
    except ImportError as error:
        raise RuntimeError(
            'spz: the package gsply is not installed; pip install "gsply>=0.4.6,<0.5".'
        ) from error
    farthest = float(gaussians.means.detach().abs().max()) if len(gaussians) else 0.0
    if not farthest < _REACH:
        raise ValueError(f"spz: a center lies {farthest:g} units out; expected less than {_REACH:g}.")
    means, quats = flip_splat_frame(gaussians.means, torch.nn.functional.normalize(gaussians.quats, dim=-1))
    columns = (means, gaussians.log_scales, quats, gaussians.logit_opacities, gaussians.sh0[:, 0])
    centers, log_scales, rotations, logits, sh0 = (
        column.detach().cpu().float().numpy() for column in columns
    )
    table = gsply.GSData.from_arrays(centers, log_scales, rotations, logits, sh0, format="ply")
    with tempfile.TemporaryDirectory(prefix="stag4d") as folder:  # the library writes files only
        path = Path(folder) / "scene.spz"
        gsply.write_spz(path, table, version=_VERSION)
        return _saying_its_frame(path.read_bytes())


def write_spz(path: str | Path, gaussians: Gaussians) -> None:
    """Write what ``encode_spz`` makes; the folder is made when it does not exist.

    Raises:
        RuntimeError: if the package gsply is not installed or the file cannot be written.
        ValueError: if a center lies too far out.
    """
    write_whole(path, encode_spz(gaussians))


def _saying_its_frame(content: bytes) -> bytes:
    """Return an SPZ file with the record that names its frame; readers that do not know it pass over it."""
    packed = bytearray(gzip.decompress(content))
    packed[_FLAGS] |= _HAS_EXTENSIONS
    return gzip.compress(bytes(packed) + _IN_3DGS_FRAME, compresslevel=6, mtime=0)
