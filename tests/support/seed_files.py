"""Small valid files of every format that the importers read, for tests that change them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from official_result import official_weights
from plyfile import PlyData, PlyElement

from stag4d.export import (
    encode_ply,
    encode_s4d,
    read_4dgs,
    read_ply,
    read_s4d_scene,
    read_spz,
    write_4dgs,
    write_spz,
)
from stag4d.scene import (
    GaussianFrames,
    GaussianModel4D,
    Gaussians,
    SceneInfo,
    pad_frames,
    read_official_deformation,
    stack_frames,
)


def random_gaussians(count: int = 12, seed: int = 0) -> Gaussians:
    """Return small Gaussians around the origin."""
    generator = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=torch.rand(count, 3, generator=generator) - 0.5,
        log_scales=torch.rand(count, 3, generator=generator) - 4,
        quats=torch.randn(count, 4, generator=generator),
        logit_opacities=torch.randn(count, generator=generator),
        sh0=torch.rand(count, 1, 3, generator=generator) * 2 - 1,
    )


def moving_frames(num_frames: int = 4, count: int = 12) -> GaussianFrames:
    """Return the same Gaussians at several frames, all of whose parameters change."""
    return stack_frames([random_gaussians(count, seed) for seed in range(num_frames)])


def changing_frames() -> GaussianFrames:
    """Return frames of 5, 12 and 8 unrelated Gaussians."""
    return pad_frames([random_gaussians(count, count) for count in (5, 12, 8)])


def scene_of(frames: GaussianFrames, fps: float = 10.0) -> GaussianModel4D:
    """Return a scene of frames."""
    return GaussianModel4D.from_frames(frames, SceneInfo(num_frames=len(frames), fps=fps))


def seed_files(folder: Path) -> dict[str, bytes]:
    """Return the content of valid files by name; the formats whose packages are missing are left out.

    Args:
        folder: An empty folder for temporary files.
    """
    gaussians, moving, changing = random_gaussians(), scene_of(moving_frames()), scene_of(changing_frames())
    files = {
        "binary.ply": encode_ply(gaussians),
        "text.ply": _ply(gaussians, text=True),
        "big.ply": _ply(gaussians, text=False, byte_order=">"),
        "moving.s4d": encode_s4d(moving),
        "changing.s4d": encode_s4d(changing),
        "deformation.pth": _pth(),
    }
    writers: dict[str, Callable[[Path], None]] = {
        "moving.4dgs": lambda path: write_4dgs(path, moving),
        "changing.4dgs": lambda path: write_4dgs(path, changing),
        "v3.spz": lambda path: write_spz(path, gaussians),
        "v2.spz": lambda path: write_spz(path, gaussians, 2),
    }
    for name, write in writers.items():
        try:
            write(folder / name)
        except RuntimeError:  # the package is not installed
            continue
        files[name] = (folder / name).read_bytes()
    return files


def read_seed(path: Path) -> object:
    """Read a file by the reader of its suffix, with everything that an import does with it."""
    match path.suffix:
        case ".ply":
            return read_ply(path)
        case ".spz":
            return read_spz(path)
        case ".4dgs":
            return read_4dgs(path)
        case ".s4d":
            return read_s4d_scene(path)
        case ".pth":
            return read_official_deformation(path, 5)
        case suffix:
            raise AssertionError(suffix)


def _ply(gaussians: Gaussians, *, text: bool, byte_order: str = "<") -> bytes:
    """Return a PLY in another encoding."""
    table = PlyData.read(io.BytesIO(encode_ply(gaussians)))["vertex"].data
    stream = io.BytesIO()
    document = PlyData([PlyElement.describe(np.array(table), "vertex")], text=text, byte_order=byte_order)
    document.write(stream)
    return stream.getvalue()


def _pth() -> bytes:
    """Return an official state dict as torch.save writes it."""
    stream = io.BytesIO()
    torch.save(official_weights(), stream)
    return stream.getvalue()
