"""PLY files of 3DGS: raw Gaussian parameters in the 3DGS coordinate frame, binary little-endian.

The column names are those of the reference implementation of 3D Gaussian Splatting (Kerbl et al. 2023).
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from plyfile import PlyData, PlyElement
from torch import Tensor

from ..atomic import write_whole
from ..geometry.splat_frame import flip_splat_frame
from ..metadata import checked_metadata
from ..scene import Gaussians, drop_invalid
from .ply_table import read_vertices

_MEANS = ("x", "y", "z")
_NORMALS = ("nx", "ny", "nz")  # always 0, but some readers require them
_COLORS = ("f_dc_0", "f_dc_1", "f_dc_2")
_OPACITY = ("opacity",)
_SCALES = ("scale_0", "scale_1", "scale_2")
_QUATS = ("rot_0", "rot_1", "rot_2", "rot_3")
_COLUMNS = _MEANS + _NORMALS + _COLORS + _OPACITY + _SCALES + _QUATS
_READ_COLUMNS = _MEANS + _COLORS + _OPACITY + _SCALES + _QUATS
# Readers such as Spark search for the end of the header in the first 64 KiB of a file.
MAX_METADATA_BYTES = 60_000
_SMALLEST_LOG_SCALE = -50.0  # in place of minus infinity, scale 0
_LARGEST_LOGIT = 50.0  # in place of infinity, opacity 1


def encode_ply(gaussians: Gaussians, metadata: Mapping[str, str] | None = None) -> bytes:
    """Encode Gaussians as a 3DGS PLY.

    Quaternions are written normalized, since some readers do not normalize them.

    Args:
        gaussians: N Gaussians in world coordinates, y up.
        metadata: JSON texts by name, each written as a comment: the name, a space and the text.

    Returns:
        The content of the file.

    Raises:
        TypeError: if a name or value of the metadata is not a string.
        ValueError: if the metadata are larger than ``MAX_METADATA_BYTES`` or not a line of ASCII each.
    """
    comments = _comments(metadata)
    means, quats = flip_splat_frame(gaussians.means, torch.nn.functional.normalize(gaussians.quats, dim=-1))
    columns = [
        means,
        torch.zeros_like(means),
        gaussians.sh0[:, 0],
        gaussians.logit_opacities[:, None],
        gaussians.log_scales,
        quats,
    ]
    table = torch.cat([column.detach().cpu().float() for column in columns], dim=1).numpy()  # [N, 17]
    vertices = np.rec.fromarrays(list(table.T), dtype=[(name, "<f4") for name in _COLUMNS])
    stream = io.BytesIO()
    element = PlyElement.describe(vertices, "vertex", comments=comments)
    PlyData([element], text=False, byte_order="<").write(stream)
    return stream.getvalue()


def _comments(metadata: Mapping[str, str] | None) -> list[str]:
    """Return metadata as comments, which follow the line of the vertices: some readers expect it as third."""
    checked = checked_metadata(metadata, "ply", MAX_METADATA_BYTES)
    for name, value in checked.items():
        if not name.isidentifier() or not (name + value).isascii() or not value.isprintable():
            raise ValueError(f"ply: metadata {name!r} is not a line of ASCII; expected JSON, escaped.")
    # Some readers take the first "end_header" for the end of the header, wherever it is.
    return [f"{name} {value}".replace("end_header", r"end\u005fheader") for name, value in checked.items()]


def write_ply(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as a PLY file, see ``encode_ply``; its folder is made when it does not exist.

    Raises:
        RuntimeError: if the file cannot be written.
    """
    write_whole(path, encode_ply(gaussians))


class PlySplats(NamedTuple):
    """The content of a splat PLY.

    Attributes:
        gaussians: All N rows, in world coordinates, y up; float32.
        num_rest: Number of columns of view-dependent color (``f_rest_*``), which is not read.
    """

    gaussians: Gaussians
    num_rest: int


def read_ply(path: str | Path) -> Gaussians:
    """Read the Gaussians of a 3DGS PLY; view-dependent color (``f_rest_*``) is ignored.

    Gaussians with a number that is not finite are dropped, and a warning says how many. An infinite opacity
    is 1 or 0, and an infinitely small scale is 0: some programs write them so.

    Args:
        path: The file.

    Returns:
        Gaussians in world coordinates, y up; float32.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a PLY, is damaged, lacks a column, or no Gaussian is valid.
    """
    return drop_invalid(read_ply_rows(path).gaussians, str(path))


def read_official_ply(path: str | Path) -> Gaussians:
    """Read the ``model.ply`` of the official STAG4D code.

    Its coordinates are y up like ours, not those of other splat files, so they are not converted.

    Args:
        path: The file.

    Returns:
        Gaussians in world coordinates, y up; float32.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a PLY, is damaged, lacks a column, has view-dependent color, or no Gaussian
            is valid.
    """
    rows = _stored_rows(path)
    if rows.num_rest:
        raise ValueError(
            f"{path}: has view-dependent color ({rows.num_rest} f_rest columns); expected SH degree 0."
        )
    return drop_invalid(rows.gaussians, str(path))


def read_ply_rows(path: str | Path) -> PlySplats:
    """Read all rows of a 3DGS PLY, with those that ``read_ply`` drops; raises like it, but for validity."""
    rows = _stored_rows(path)
    means, quats = flip_splat_frame(rows.gaussians.means, rows.gaussians.quats)
    return rows._replace(gaussians=replace(rows.gaussians, means=means, quats=quats))


def _stored_rows(path: str | Path) -> PlySplats:
    """Return the rows of a file in its own coordinate frame."""
    table = read_vertices(path, _READ_COLUMNS)

    def columns(names: tuple[str, ...]) -> Tensor:
        with np.errstate(over="ignore"):  # too large for float32: infinite, and so invalid
            return torch.from_numpy(np.stack([table[name].astype(np.float32) for name in names], axis=-1))

    gaussians = Gaussians(
        means=columns(_MEANS),
        log_scales=columns(_SCALES).nan_to_num(math.nan, math.inf, _SMALLEST_LOG_SCALE),
        quats=columns(_QUATS),
        logit_opacities=columns(_OPACITY)[:, 0].nan_to_num(math.nan, _LARGEST_LOGIT, -_LARGEST_LOGIT),
        sh0=columns(_COLORS)[:, None],
    )
    return PlySplats(gaussians, sum(name.startswith("f_rest") for name in table))
