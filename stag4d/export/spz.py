"""SPZ files: Gaussians quantized to a quarter of the size of a PLY, in the 3DGS coordinate frame.

The format's own frame is y up, but ComfyUI, Spark, gsply and the format's own converter from PLY read and
write the coordinates of a PLY unchanged. So do we, and add the extension that tells newer readers the frame.
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

_VERSION = 3  # gzip, quaternions by their smallest three components; few readers know version 4
_FLAGS_OFFSET = 14  # of the flags byte in the header
_HAS_EXTENSIONS = 2  # bit of the flags
_FRAME_EXTENSION = struct.pack("<III", 0xADBE0003, 4, 6)  # SPZ_ADOBE_coordinate_system: right, down, front
_MAX_COORDINATE = 2048.0  # world units: coordinates are signed 24-bit fixed-point numbers, 12 bits fractional


def encode_spz(gaussians: Gaussians) -> bytes:
    """Encode Gaussians as SPZ.

    Largest errors of the quantization: centers 1.3e-4 world units, standard deviations 3.2 % (between 4.6e-5
    and 375 units), rotations half a degree, opacities and colors 0.004.

    Args:
        gaussians: N Gaussians in world coordinates, y up.

    Returns:
        The content of the file.

    Raises:
        RuntimeError: if the package gsply is not installed.
        ValueError: if a coordinate of a center is 2048 units or more, or not finite.
    """
    try:
        import gsply
    except ImportError as error:
        raise RuntimeError(
            'spz: the package gsply is not installed; pip install "gsply>=0.4.6,<0.5".'
        ) from error
    farthest = float(gaussians.means.detach().abs().max()) if len(gaussians) else 0.0
    if not farthest < _MAX_COORDINATE:  # so written, NaN is rejected too
        raise ValueError(f"spz: a center is {farthest:g} units away; expected below {_MAX_COORDINATE:g}.")
    means, quats = flip_splat_frame(gaussians.means, torch.nn.functional.normalize(gaussians.quats, dim=-1))
    columns = (means, gaussians.log_scales, quats, gaussians.logit_opacities, gaussians.sh0[:, 0])
    centers, log_scales, rotations, logits, sh0 = (
        column.detach().cpu().float().numpy() for column in columns
    )
    table = gsply.GSData.from_arrays(centers, log_scales, rotations, logits, sh0, format="ply")
    with tempfile.TemporaryDirectory(prefix="stag4d") as folder:  # gsply writes only to paths
        path = Path(folder) / "scene.spz"
        gsply.write_spz(path, table, version=_VERSION)
        return _add_frame_extension(path.read_bytes())


def write_spz(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as an SPZ file, see ``encode_spz``; its folder is made when it does not exist.

    Raises:
        RuntimeError: if the package gsply is not installed or the file cannot be written.
        ValueError: if a coordinate of a center is 2048 units or more, or not finite.
    """
    write_whole(path, encode_spz(gaussians))


def _add_frame_extension(content: bytes) -> bytes:
    """Append the extension that names the coordinate frame; readers that do not know it ignore it."""
    packed = bytearray(gzip.decompress(content))
    packed[_FLAGS_OFFSET] |= _HAS_EXTENSIONS
    return gzip.compress(bytes(packed) + _FRAME_EXTENSION, compresslevel=6, mtime=0)  # no time: same bytes
