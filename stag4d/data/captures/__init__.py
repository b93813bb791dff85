"""Captures: posed images of several cameras on disk, in the formats of other programs and datasets."""

from .capture import Capture, CaptureView
from .detection import check_cameras, find_capture
from .framesets import read_frameset
from .listing import find_view_folders
from .loading import read_capture
from .multicam import read_multicam
from .options import UPS, CaptureOptions, UpChoice
from .splits import SPLITS, Split

__all__ = [
    "SPLITS",
    "UPS",
    "Capture",
    "CaptureOptions",
    "CaptureView",
    "Split",
    "UpChoice",
    "check_cameras",
    "find_capture",
    "find_view_folders",
    "read_capture",
    "read_frameset",
    "read_multicam",
]
