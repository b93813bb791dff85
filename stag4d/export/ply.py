"""PLY files of 3DGS: raw Gaussian parameters in the 3DGS coordinate frame, binary little-endian.

The column names are those of the reference implementation of 3D Gaussian Splatting (Kerbl et al. 2023).
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from plyfile import PlyData, PlyElement, PlyParseError
from torch import Tensor

from ..atomic import write_whole
from ..geometry.splat_frame import flip_splat_frame
from ..scene import Gaussians

_MEANS = ("x", "y", "z")
_NORMALS = ("nx", "ny", "nz")  # always 0, but some readers require them
_COLORS = ("f_dc_0", "f_dc_1", "f_dc_2")
_OPACITY = ("opacity",)
_SCALES = ("scale_0", "scale_1", "scale_2")
_QUATS = ("rot_0", "rot_1", "rot_2", "rot_3")
_COLUMNS = _MEANS + _NORMALS + _COLORS + _OPACITY + _SCALES + _QUATS
_READ_COLUMNS = _MEANS + _COLORS + _OPACITY + _SCALES + _QUATS


def encode_ply(gaussians: Gaussians) -> bytes:
    """Encode Gaussians as a 3DGS PLY.

    Quaternions are written normalized, since some readers do not normalize them.

    Args:
        gaussians: N Gaussians in world coordinates, y up.

    Returns:
        The content of the file.
    """
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
    PlyData([PlyElement.describe(vertices, "vertex")], text=False, byte_order="<").write(stream)
    return stream.getvalue()


def write_ply(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as a PLY file, see ``encode_ply``; its folder is made when it does not exist.

    Raises:
        RuntimeError: if the file cannot be written.
    """
    write_whole(path, encode_ply(gaussians))


def read_ply(path: str | Path) -> Gaussians:
    """Read the Gaussians of a 3DGS PLY; view-dependent color (``f_rest_*``) is ignored.

    Args:
        path: The file.

    Returns:
        Gaussians in world coordinates, y up; float32.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a PLY, lacks a column, or holds a number that is not finite.
    """
    stored = _stored_gaussians(path, _read_vertices(path))
    means, quats = flip_splat_frame(stored.means, stored.quats)
    return replace(stored, means=means, quats=quats)


def read_official_ply(path: str | Path) -> Gaussians:
    """Read the ``model.ply`` of the official STAG4D code.

    Its coordinates are y up like ours, not those of other splat files, so they are not converted.

    Args:
        path: The file.

    Returns:
        Gaussians in world coordinates, y up; float32.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a PLY, lacks a column, holds view-dependent color or a number that is not
            finite.
    """
    vertices = _read_vertices(path)
    rest = [name for name in vertices.dtype.names or () if name.startswith("f_rest")]
    if rest:
        raise ValueError(
            f"{path}: has view-dependent color ({len(rest)} f_rest columns); expected SH degree 0."
        )
    return _stored_gaussians(path, vertices)


def _read_vertices(path: str | Path) -> np.ndarray:
    """Return the vertex table of a PLY after checking that it has all columns of Gaussians."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a splat PLY.")
    try:
        with path.open("rb") as file:
            document = PlyData.read(file)
    except (PlyParseError, OSError, ValueError) as error:
        raise ValueError(f"{path}: not a PLY, or damaged ({error}); expected a splat PLY.") from error
    vertices = next((element.data for element in document.elements if element.name == "vertex"), None)
    names = () if vertices is None else vertices.dtype.names
    missing = [name for name in _READ_COLUMNS if name not in names]
    if vertices is None or missing:
        raise ValueError(f"{path}: no column {', '.join(missing)}; expected a splat PLY of 3DGS.")
    return vertices


def _stored_gaussians(path: str | Path, vertices: np.ndarray) -> Gaussians:
    """Return the Gaussians of a table in the frame of the file; raises ValueError if one is not finite."""

    def columns(wanted: tuple[str, ...]) -> Tensor:
        return torch.from_numpy(np.stack([vertices[name] for name in wanted], axis=-1).astype(np.float32))

    gaussians = Gaussians(
        means=columns(_MEANS),
        log_scales=columns(_SCALES),
        quats=columns(_QUATS),
        logit_opacities=columns(_OPACITY)[:, 0],
        sh0=columns(_COLORS)[:, None],
    )
    for name, values in gaussians.as_dict().items():
        if not torch.isfinite(values).all():
            raise ValueError(f"{path}: {name} are not all finite; every number must be.")
    return gaussians
