"""The table of export formats, which the node STAG4D Export and the command ``stag4d export`` share.

A format holds one frame of a scene or all of them. Formats of one frame are written as a single file or, by
``write_splat_sequence``, as a folder with one file a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ..atomic import write_whole
from ..progress import Monitor, silent
from ..scene import GaussianModel4D, Gaussians
from .fourdgs import write_4dgs
from .gltf import MAX_METADATA_BYTES as MAX_GLB_METADATA_BYTES
from .gltf import encode_glb
from .html import MAX_METADATA_BYTES as MAX_HTML_METADATA_BYTES
from .html import write_html
from .packages import require_package
from .ply import MAX_METADATA_BYTES as MAX_PLY_METADATA_BYTES
from .ply import encode_ply
from .s4d import Precision, encode_s4d, write_s4d
from .s4d.writer import MAX_METADATA_BYTES as MAX_S4D_METADATA_BYTES
from .splat import encode_splat
from .spz import SpzVersion, encode_spz


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A file format to which a scene can be written.

    Attributes:
        name: Name by which users choose the format.
        suffix: File name suffix, lower case, with its dot.
        description: What the file holds, one line without a full stop.
        write: Writes a scene: ``write(path, model, *, monitor=silent, **options)``. It makes the folder of
            the file and calls the monitor after each frame. It raises RuntimeError if the file cannot be
            written or a package is missing, ValueError if the format cannot hold the scene, and what the
            monitor raises; no partial file is left.
        options: Names of the keyword arguments that ``write`` takes besides ``monitor``, all optional.
        max_metadata_bytes: Largest value of the option ``metadata``, JSON texts by name, measured by
            ``metadata.metadata_bytes``; 0 if the format has no place for them.
        encode_frame: Encodes the Gaussians of one frame as a file; None if the format holds the whole scene.
            It takes the options besides ``frame_time``.
        package: Optional package that ``write`` needs; None if it needs none.
    """

    name: str
    suffix: str
    description: str
    write: Callable[..., None]
    options: tuple[str, ...] = ()
    max_metadata_bytes: int = 0
    encode_frame: Callable[..., bytes] | None = None
    package: str | None = None

    @property
    def holds_one_frame(self) -> bool:
        """Return whether a file holds one frame instead of the whole scene."""
        return self.encode_frame is not None

    def check_package(self) -> None:
        """Raise RuntimeError, with the command that installs it, if the format's package is not installed."""
        if self.package is not None:
            require_package(self.package, self.name)


def _frame_format(
    name: str,
    description: str,
    encode: Callable[..., bytes],
    *,
    max_metadata_bytes: int = 0,
    package: str | None = None,
) -> ExportFormat:
    """Return a format of one frame, chosen by the option ``frame_time``, 0 (first) to 1 (last)."""

    def write(
        path: str | Path,
        model: GaussianModel4D,
        *,
        monitor: Monitor = silent,
        frame_time: float = 0.0,
    ) -> None:
        _write_frame(path, encode, _frame_at(model, frame_time, name), monitor)

    def write_with_metadata(
        path: str | Path,
        model: GaussianModel4D,
        *,
        monitor: Monitor = silent,
        frame_time: float = 0.0,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        encode_frame = partial(encode, metadata=metadata)
        _write_frame(path, encode_frame, _frame_at(model, frame_time, name), monitor)

    has_metadata = max_metadata_bytes > 0
    return ExportFormat(
        name=name,
        suffix=f".{name}",
        description=description,
        write=write_with_metadata if has_metadata else write,
        options=("frame_time", "metadata") if has_metadata else ("frame_time",),
        max_metadata_bytes=max_metadata_bytes,
        encode_frame=encode,
        package=package,
    )


def _write_spz(
    path: str | Path,
    model: GaussianModel4D,
    *,
    monitor: Monitor = silent,
    frame_time: float = 0.0,
    spz_version: SpzVersion = 3,
) -> None:
    """Write one frame as an SPZ file of a version."""
    encode = partial(encode_spz, spz_version=spz_version)
    _write_frame(path, encode, _frame_at(model, frame_time, "spz"), monitor)


@torch.no_grad()
def _frame_at(model: GaussianModel4D, frame_time: float, name: str) -> Gaussians:
    """Return the Gaussians at a time; raises ValueError with the format's name if it is not from 0 to 1."""
    if not 0 <= frame_time <= 1:
        raise ValueError(f"{name}: frame_time is {frame_time:g}; expected 0 (first frame) to 1 (last).")
    return model.at(torch.tensor([frame_time], device=model.device))[0]


def _write_frame(
    path: str | Path, encode: Callable[[Gaussians], bytes], gaussians: Gaussians, monitor: Monitor
) -> None:
    """Encode and write the Gaussians of a frame."""
    content = encode(gaussians)
    monitor("export", 1, 1)
    write_whole(path, content)


def _write_4dgs(path: str | Path, model: GaussianModel4D, *, monitor: Monitor = silent) -> None:
    """Write a ``.4dgs`` file."""
    write_4dgs(path, model, monitor)


def _write_s4d(
    path: str | Path,
    model: GaussianModel4D,
    *,
    monitor: Monitor = silent,
    precision: Precision = "full",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write an ``.s4d`` file, whose novel views are the Zero123++ rig around the input camera."""
    write_s4d(path, model, precision=precision, metadata=metadata, monitor=monitor)


def _write_html(
    path: str | Path,
    model: GaussianModel4D,
    *,
    monitor: Monitor = silent,
    precision: Precision = "full",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a page titled after its file, without the underscore that ComfyUI puts after file numbers."""
    stem = Path(path).stem
    s4d = encode_s4d(model, precision=precision, monitor=monitor)
    write_html(path, s4d, stem.rstrip("_") or stem, metadata)


EXPORT_FORMATS: dict[str, ExportFormat] = {
    entry.name: entry
    for entry in (
        _frame_format(
            "ply", "one frame as a 3DGS file", encode_ply, max_metadata_bytes=MAX_PLY_METADATA_BYTES
        ),
        ExportFormat(
            name="spz",
            suffix=".spz",
            description="one frame in a quarter of the size of a PLY, needs the package gsply",
            write=_write_spz,
            options=("frame_time", "spz_version"),
            encode_frame=encode_spz,
            package="gsply",
        ),
        ExportFormat(
            name="4dgs",
            suffix=".4dgs",
            description="the moving scene in one file, needs the package fourdgs",
            write=_write_4dgs,
            package="fourdgs",
        ),
        ExportFormat(
            name="html",
            suffix=".html",
            description="a web page that plays the scene",
            write=_write_html,
            options=("precision", "metadata"),
            max_metadata_bytes=MAX_HTML_METADATA_BYTES,
        ),
        ExportFormat(
            name="clip",
            suffix=".s4d",
            description="the moving scene for the viewer, as the web page holds it",
            write=_write_s4d,
            options=("precision", "metadata"),
            max_metadata_bytes=MAX_S4D_METADATA_BYTES,
        ),
        _frame_format("splat", "one frame in 32 bytes per Gaussian, for web viewers", encode_splat),
        _frame_format(
            "glb",
            "one frame as glTF, needs the package fourdgs",
            encode_glb,
            max_metadata_bytes=MAX_GLB_METADATA_BYTES,
            package="fourdgs",
        ),
    )
}
"""Formats by name. Videos are made by rendering, so the command adds a format of its own for mp4."""
