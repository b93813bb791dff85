"""Small ViewSets, and PNG files written without the code under test."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.types import ViewSet


def disk(size: int, center: tuple[float, float], radius: float) -> np.ndarray:
    """Return a soft-edged disk, float32 [size, size]; the center is in pixels."""
    ys, xs = np.mgrid[:size, :size] + 0.5
    return np.clip(radius + 0.5 - np.hypot(xs - center[0], ys - center[1]), 0, 1).astype(np.float32)


def disk_image(size: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a colored disk: colors [size, size, 3] and soft alpha [size, size]."""
    alpha = disk(size, (size / 2 + shift, size / 2), size / 4)
    ramp = np.linspace(0.1, 0.9, size, dtype=np.float32)
    colors = np.stack([np.tile(ramp, (size, 1)), np.tile(ramp[:, None], (1, size)), 1 - alpha], axis=-1)
    return colors, alpha


@pytest.fixture
def make_views() -> Callable[..., ViewSet]:
    """A function that makes F frames of a moving disk and V views of each."""

    def make(frames: int = 2, num_views: int = 6, size: int = 16, view_size: int = 12) -> ViewSet:
        inputs = [disk_image(size, frame) for frame in range(frames)]
        posed = [
            disk_image(view_size, 0.5 * frame - 0.3 * view)
            for frame in range(frames)
            for view in range(num_views)
        ]
        posed = posed or [
            (np.zeros((view_size, view_size, 3), np.float32), np.zeros((view_size,) * 2, np.float32))
        ]
        lead = (frames, num_views)
        count = frames * num_views
        return ViewSet(
            images=torch.from_numpy(np.stack([colors for colors, _ in inputs])),
            alphas=torch.from_numpy(np.stack([alpha for _, alpha in inputs])),
            view_images=torch.from_numpy(np.stack([colors for colors, _ in posed])[:count]).unflatten(
                0, lead
            ),
            view_alphas=torch.from_numpy(np.stack([alpha for _, alpha in posed])[:count]).unflatten(0, lead),
            input_pose=OrbitPose(azimuth_deg=10.5, elevation_deg=-7.25, radius=1.9, fovy_deg=33.3),
            view_poses=zero123plus_rig("v1.2")[:num_views],
            fps=12.5,
        )

    return make


@pytest.fixture
def save_png() -> Callable[..., Path]:
    """A function that writes uint8 pixels with Pillow: [H, W] gray, or [H, W, 2 to 4]."""

    def save(path: Path, pixels: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, format="PNG")
        return path

    return save


@pytest.fixture
def save_png_16() -> Callable[..., Path]:
    """A function that writes uint16 pixels [H, W, 1 to 4] by the PNG specification."""

    def save(path: Path, pixels: np.ndarray) -> Path:
        height, width, channels = pixels.shape
        color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

        def chunk(name: bytes, content: bytes) -> bytes:
            return (
                struct.pack(">I", len(content))
                + name
                + content
                + struct.pack(">I", zlib.crc32(name + content))
            )

        header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
        body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        return path

    return save
