"""Small ViewSets, and PNG files written without the code under test."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from disk_views import disk_views
from PIL import Image

from stag4d.view_set import ViewSet


@pytest.fixture
def make_views() -> Callable[..., ViewSet]:
    """A function that makes F frames of a moving disk and V views of each."""
    return disk_views


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
