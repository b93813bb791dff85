"""Sequences of splat files: a folder with one file a frame, with the same Gaussians in the same order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..atomic import replacing_files
from ..progress import Monitor, silent
from ..scene import GaussianModel4D
from .formats import EXPORT_FORMATS


@torch.no_grad()
def write_splat_sequence(
    folder: str | Path,
    model: GaussianModel4D,
    file_format: str,
    frames: Sequence[int] | None = None,
    monitor: Monitor = silent,
    **options: Any,
) -> list[Path]:
    """Write frames as ``frame_0000.ply`` and so on, numbered as in the scene.

    The folder changes only when all files are written. Files of an older sequence of the same format that are
    not part of the new one are removed then; other files stay.

    Args:
        folder: The folder; made when it does not exist.
        model: The scene.
        file_format: Name of an export format of one frame, such as ``ply``.
        frames: Frame numbers of the scene, from 0, in ascending order; None writes all.
        monitor: Called after each frame.
        options: Options of the format besides ``frame_time``, and ``metadata`` for each file, see
            ``ExportFormat``.

    Returns:
        The files in order.

    Raises:
        RuntimeError: if a file cannot be written, or the package for the format is not installed.
        ValueError: if there are no frames, the format is unknown or holds whole scenes, or it cannot hold a
            frame.
    """
    root = Path(folder)
    encoders = {name: entry.encode_frame for name, entry in EXPORT_FORMATS.items() if entry.encode_frame}
    encode = encoders.get(file_format)
    if encode is None:
        raise ValueError(f"{root}: file format {file_format!r}; expected one of {', '.join(encoders)}.")
    numbers = range(model.info.num_frames) if frames is None else frames
    if not numbers:
        raise ValueError(f"{root}: no frames to write; expected one or more.")
    suffix = EXPORT_FORMATS[file_format].suffix
    names = [f"frame_{number:04d}{suffix}" for number in numbers]
    with replacing_files(root, re.compile(rf"frame_[0-9]{{4,}}{re.escape(suffix)}")) as temporary:
        for done, (number, name) in enumerate(zip(numbers, names, strict=True), start=1):
            gaussians = model.at(model.frame_times[[number]])[0]
            (temporary / name).write_bytes(encode(gaussians, **options))
            monitor("export", done, len(numbers))
    return [root / name for name in names]
