"""GLB files with the glTF extension ``KHR_gaussian_splatting``: one frame, y up as in the world."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import numpy as np
import torch

from ..metadata import checked_metadata
from ..scene import Gaussians
from .packages import importing
from .path_writers import written_bytes

MAX_METADATA_BYTES = 2**20 - 2**14  # ComfyUI's page reads the header in the first MiB of a file
_HEADER_BYTES = 12  # of a file; each chunk has a length and a type before its content
_CHUNK_BYTES = 8


def encode_glb(gaussians: Gaussians, metadata: Mapping[str, str] | None = None) -> bytes:
    """Encode Gaussians as a GLB file.

    The package fourdgs writes it, after the release candidate of the extension. glTF has the axes of our
    world: x right, y up, z towards the viewer. Numbers are float32; colors are clipped to 0..1.

    Args:
        gaussians: N Gaussians in world coordinates.
        metadata: JSON texts by name, written into ``asset.extras``.

    Returns:
        The content of the file.

    Raises:
        RuntimeError: if the package fourdgs is not installed.
        TypeError: if a name or value of the metadata is not a string.
        ValueError: if there are no Gaussians, a number is not finite, or the metadata are larger than
            ``MAX_METADATA_BYTES``.
    """
    extras = checked_metadata(metadata, "glb", MAX_METADATA_BYTES)
    with importing("fourdgs", "glb"):
        from fourdgs import GaussianSet, to_gltf
    if not len(gaussians):
        raise ValueError("glb: there are no Gaussians; expected at least one.")
    columns = {
        "positions": gaussians.means,
        "scales": gaussians.scales,
        "rotations": torch.nn.functional.normalize(gaussians.quats, dim=-1).roll(-1, dims=-1),  # xyzw
        "colors": torch.cat([gaussians.colors.clamp(0, 1), gaussians.opacities[:, None]], dim=1),  # rgba
    }
    for name, values in columns.items():
        if not torch.isfinite(values).all():
            raise ValueError(f"glb: {name} are not all finite; every number must be.")
    ones = np.ones(len(gaussians))
    snapshot = GaussianSet(
        **{name: values.detach().cpu().float().numpy() for name, values in columns.items()},
        motions=np.zeros((len(gaussians), 3), np.float32),
        mu_t=0 * ones,
        sigma_t=np.inf * ones,
        win_lo=0 * ones,
        win_hi=ones,
    )
    content = written_bytes(
        "scene.glb",
        lambda path: to_gltf(str(path), snapshot, 0.0, cutoff=0.0, coordinate_system="y-up-right-handed"),
    )
    return _with_extras(content, extras) if extras else content


def _with_extras(content: bytes, extras: dict[str, str]) -> bytes:
    """Return a GLB file with entries added to ``asset.extras``; its first chunk is the JSON of the scene."""
    begin = _HEADER_BYTES + _CHUNK_BYTES
    (length,) = struct.unpack_from("<I", content, _HEADER_BYTES)
    document = json.loads(content[begin : begin + length])
    document["asset"]["extras"] = document["asset"].get("extras", {}) | extras
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + content[begin + length :]
    return struct.pack("<4sII", b"glTF", 2, _HEADER_BYTES + len(chunks)) + chunks
