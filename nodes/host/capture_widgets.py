"""The widgets of captures: which images are read, and how their world maps to that of the scene."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from comfy_api.latest import io

from ...stag4d.data import SPLITS, UPS, Capture, CaptureOptions, parse_center

AUTO: Final = "auto"
CENTERS = (AUTO, "file")


def frame_inputs() -> list[io.Int.Input]:
    """Return the widgets for the frames of a capture, and their size."""
    return [
        io.Int.Input(
            "first_frame",
            default=0,
            min=0,
            max=1_000_000,
            optional=True,
            tooltip="First frame of a capture to read, from 0.",
        ),
        io.Int.Input(
            "frame_step",
            default=1,
            min=1,
            max=10_000,
            optional=True,
            tooltip="Every how many frames of a capture one is read. The frame rate is divided by it.",
        ),
        io.Int.Input(
            "max_frames",
            default=0,
            min=0,
            max=4096,
            optional=True,
            tooltip="Largest number of frames of a capture to read; 0 reads all.",
        ),
        io.Int.Input(
            "longer_side",
            default=0,
            min=0,
            max=8192,
            optional=True,
            tooltip="Longer side to which the images of a capture are reduced before they are cropped to the "
            "object, pixels; 0 keeps their size.",
        ),
    ]


def world_inputs() -> list[io.Input]:
    """Return the widgets for the map from the world of a capture to that of the scene."""
    return [
        io.String.Input(
            "center",
            default=AUTO,
            optional=True,
            advanced=True,
            tooltip="Point of the capture's world where the object is. auto: nearest to the optical axes; "
            "file: as the capture has it, such as the mean of COLMAP's points; or x, y, z.",
        ),
        io.Combo.Input(
            "up",
            options=list(UPS),
            default=AUTO,
            optional=True,
            advanced=True,
            tooltip="Up direction of the capture's world. auto: that of its format, or else the mean of its "
            "cameras, as for cameras.",
        ),
        io.String.Input(
            "front",
            default="",
            optional=True,
            advanced=True,
            tooltip="Name or number of the camera of a capture that gets azimuth 0. Empty: the reference, or "
            "the front camera of the capture.",
        ),
        io.String.Input(
            "reference",
            default=AUTO,
            optional=True,
            advanced=True,
            tooltip="Name or number of the camera of a capture that is the video's own. auto: as the capture "
            "has it, or the first; none: no view is the video's.",
        ),
        io.Combo.Input(
            "split",
            options=list(SPLITS),
            default="train",
            optional=True,
            advanced=True,
            tooltip="Images of a capture that holds some out for tests: those for training, those "
            "held out, or all.",
        ),
        io.Float.Input(
            "fps",
            default=0.0,
            min=0.0,
            max=240.0,
            step=0.1,
            optional=True,
            advanced=True,
            tooltip="Frames per second of a capture whose files do not tell; 0: 8.",
        ),
    ]


def capture_options(values: Mapping[str, Any]) -> CaptureOptions:
    """Return the options of a capture; raises ValueError for a center that is no point."""
    front, reference = values.get("front", "").strip(), values.get("reference", AUTO).strip()
    return CaptureOptions(
        longer_side=values.get("longer_side") or None,
        first_frame=values.get("first_frame", 0),
        frame_step=values.get("frame_step", 1),
        max_frames=values.get("max_frames", 0),
        fps=values.get("fps") or None,
        up=values.get("up", AUTO),
        center=parse_center(values.get("center", AUTO)),
        front=front or None,
        reference=reference or AUTO,
    )


def check_source(source: Path | Capture, options: CaptureOptions, values: Mapping[str, Any]) -> None:
    """Raise ValueError if options do not fit what was found."""
    if isinstance(source, Capture):
        options.reference_of(source)
        options.front_of(source)
        if source.frame_ids:  # those of videos are not known yet
            options.frames_of(len(source.frame_ids))
        return
    default = CaptureOptions(reference=options.reference if options.reference == "none" else AUTO)
    changed = [
        field.name
        for field in fields(options)
        if getattr(options, field.name) != getattr(default, field.name)
    ]
    changed += [] if values.get("split", "train") == "train" else ["split"]
    if changed:
        raise ValueError(
            f"{', '.join(changed)}: for captures of other programs, but {source.name} is a view folder; set "
            "the default."
        )
