"""Captures for the fuzz tests: the files that describe their cameras are damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

PATTERNS = {
    "nerfstudio": "*.json",
    "frameset": "*.json",
    "4danyone": "*.json",
    "colmap text": "*.txt",
    "colmap binary": "*.bin",
    "llff": "*.npy",
    "hypernerf": "*.json",
    "panoptic": "*.json",
    "easymocap": "*.yml",
}
"""Files that are damaged, by format."""


def make_capture(name: str) -> Callable[[Path], Path]:
    """Return a function that writes a capture in one of the formats of ``capture_writers``."""

    def make(folder: Path) -> Path:
        from capture_writers import WRITERS, Toy

        root = folder / "capture"
        root.mkdir()
        WRITERS[name](root, Toy())
        return root

    return make


def read_any_capture(path: Path) -> None:
    """Find and read a capture."""
    from stag4d.data import CaptureOptions, find_capture, read_capture

    capture = find_capture(path)
    if capture is not None:
        read_capture(capture, CaptureOptions(max_frames=1))
