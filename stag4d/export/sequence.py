"""A folder with one splat file a frame: as many Gaussians in each, in the same order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..atomic import replacing_files
from ..progress import Monitor, silent
from ..scene import GaussianModel4D, Gaussians
from .ply import encode_ply
from .spz import encode_spz

_ENCODERS: dict[str, Callable[[Gaussians], bytes]] = {"ply": encode_ply, "spz": encode_spz}


@torch.no_grad()
def write_splat_sequence(
    folder: str | Path,
    model: GaussianModel4D,
    file_format: str,
    frames: Sequence[int] | None = None,
    monitor: Monitor = silent,
) -> list[Path]:
    """Write ``frame_0000.ply`` and on, named after the scene's frames.

    The folder changes when all files are written: those of an older sequence of the same format that are not
    written anew are removed then, other files stay.

    Args:
        folder: The folder; made when it does not exist.
        model: The scene.
        file_format: ``ply`` or ``spz``.
        frames: Frame numbers of the scene, from 0, in ascending order; None writes all.
        monitor: Called after each frame.

    Returns:
        The files in order.

    Raises:
        RuntimeError: if a file cannot be written, or the package for the format is not installed.
        ValueError: if there are no frames, or the format is unknown or cannot hold a frame.
    """
    root = Path(folder)
    if file_format not in _ENCODERS:
        raise ValueError(f"{root}: file format {file_format!r}; expected one of {', '.join(_ENCODERS)}.")
    numbers = range(model.info.num_frames) if frames is None else frames
    if not numbers:
        raise ValueError(f"{root}: no frames to write; expected one or more.")
    names = [f"frame_{number:04d}.{file_format}" for number in numbers]
    with replacing_files(root, re.compile(rf"frame_[0-9]{{4,}}\.{file_format}")) as temporary:
        for done, (number, name) in enumerate(zip(numbers, names, strict=True), start=1):
            gaussians = model.at(model.frame_times[[number]])[0]
            (temporary / name).write_bytes(_ENCODERS[file_format](gaussians))
            monitor("export", done, len(numbers))
    return [root / name for name in names]
