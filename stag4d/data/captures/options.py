"""How a capture becomes a set of views: which frames, which size, and how its world maps to ours."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

from .capture import Capture, Vector

UpChoice = Literal["auto", "y", "z", "-y", "cameras"]
CenterChoice = Literal["auto", "file"]

UPS: tuple[UpChoice, ...] = get_args(UpChoice)
_CENTERS = get_args(CenterChoice)
NO_REFERENCE = "none"


@dataclass(frozen=True, kw_only=True)
class CaptureOptions:
    """Options of ``read_capture``; the defaults are ours.

    Attributes:
        longer_side: Longer side of the images before they are cropped, pixels; smaller images are not
            enlarged. None keeps the size of the files.
        first_frame: Index of the first frame that is read.
        frame_step: Every how many frames one is read; the frame rate is divided by it.
        max_frames: Largest number of frames that are read; 0 for all.
        fps: Frames a second of the source where it has no rate of its own; None for 8.
        up: Direction of the source's world that is up; ``auto`` is that of the format, or else the mean up
            direction of the cameras, as for ``cameras``.
        center: Point of the source's world that becomes the origin; ``auto`` is the point nearest to the
            optical axes, ``file`` that of the source, such as the mean of its points.
        front: Name or index of the view that gets azimuth 0; None for the reference, or that of the source.
        reference: Name or index of the view that is the video's own camera, ``none`` for none; ``auto`` as
            the source has it.
        scale: World units per unit of the source; None chooses it by the image and the object in it.
    """

    longer_side: int | None = None
    first_frame: int = 0
    frame_step: int = 1
    max_frames: int = 0
    fps: float | None = None
    up: UpChoice = "auto"
    center: CenterChoice | Vector = "auto"
    front: int | str | None = None
    reference: int | str | None = "auto"
    scale: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        for name, value, least in (
            ("longer_side", self.longer_side, 1),
            ("first_frame", self.first_frame, 0),
            ("frame_step", self.frame_step, 1),
            ("max_frames", self.max_frames, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f"capture: {name} is {value}; expected {least} or more.")
        for name, number in (("fps", self.fps), ("scale", self.scale)):
            if number is not None and not 0 < number < float("inf"):
                raise ValueError(f"capture: {name} is {number:g}; expected a positive number.")
        if self.up not in UPS:
            raise ValueError(f"capture: up is {self.up!r}; expected one of {', '.join(UPS)}.")
        if isinstance(self.center, str):
            is_center = self.center in _CENTERS
        else:
            is_center = len(self.center) == 3 and all(map(isfinite, self.center))
        if not is_center:
            raise ValueError(f"capture: center is {self.center!r}; expected auto, file, or three numbers.")

    def frames_of(self, count: int) -> range:
        """Return the indices of the frames that are read of ``count``; ValueError if there are none."""
        if self.first_frame >= count:
            raise ValueError(
                f"capture: first frame {self.first_frame} of {count}; expected 0 to {count - 1}."
            )
        chosen = range(self.first_frame, count, self.frame_step)
        return chosen[: self.max_frames] if self.max_frames else chosen

    def reference_of(self, capture: Capture) -> int | None:
        """Return the index of the view that is the reference, or None."""
        if self.reference == "auto":
            return capture.reference
        if self.reference is None or self.reference == NO_REFERENCE:
            return None
        return _index_of(capture, self.reference, "reference")

    def front_of(self, capture: Capture) -> int:
        """Return the index of the view that gets azimuth 0."""
        if self.front is not None:
            return _index_of(capture, self.front, "front")
        reference = self.reference_of(capture)
        return capture.front if reference is None else reference


def _index_of(capture: Capture, view: int | str, what: str) -> int:
    """Return the index of a view that is given by name or index; raises ValueError if there is none."""
    names = [found.name for found in capture.views]
    if str(view) in names:
        return names.index(str(view))
    if str(view).isdecimal() and int(view) < len(names):
        return int(view)
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise ValueError(f"capture: {what} {view!r} is no view; expected an index or one of {listed}.")
