"""Captures: posed images of several cameras on disk, in the formats of other programs and datasets."""

from .capture import Capture, CaptureView
from .detection import find_capture
from .framesets import read_frameset
from .loading import read_capture
from .options import CaptureOptions
from .splits import SPLITS, Split

__all__ = [
    "SPLITS",
    "Capture",
    "CaptureOptions",
    "CaptureView",
    "Split",
    "find_capture",
    "read_capture",
    "read_frameset",
]
