"""Camera rigs of published multi-view models: a table of presets.

Angles follow our conventions, in the order of the model's images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from .camera_rigs import CameraRig
from .framing import HALF_EXTENT

_SV3D_IMAGES = 21
_SV3D_FOVY_DEG = 33.8


def _level(azimuths_deg: Sequence[float], **others: Any) -> CameraRig:
    """Return a rig whose cameras all have elevation 0."""
    azimuths = tuple(float(azimuth) for azimuth in azimuths_deg)
    return CameraRig(azimuths_deg=azimuths, elevations_deg=(0.0,) * len(azimuths), **others)


def _zero123plus(elevations_deg: tuple[float, float], **others: Any) -> CameraRig:
    """Return a rig of six cameras at two alternating elevations."""
    return CameraRig(
        azimuths_deg=(30.0, 90.0, 150.0, 210.0, 270.0, 330.0), elevations_deg=elevations_deg * 3, **others
    )


def _orbit_of_input(azimuths_deg: Sequence[float], **others: Any) -> CameraRig:
    """Return a rig of SV3D or SV4D: an orbit through the input camera, at its elevation."""
    return _level(azimuths_deg, elevation_kind="relative", fovy_deg=_SV3D_FOVY_DEG, **others)


def _sv3d_core(num_images: int) -> CameraRig:
    """Return the ring of ComfyUI's SV3D_Conditioning, whose last image repeats the first."""
    return _orbit_of_input(
        [index * 360 / (num_images - 1) for index in range(num_images)],
        kept=tuple(range(num_images - 1)),
        certainty="angles read from the node; field of view documented",
    )


def _sv3d_script(num_images: int) -> CameraRig:
    """Return the ring of SV3D's script, whose last image, at the input camera, becomes the first view."""
    last = num_images - 1
    return _orbit_of_input(
        [*((index + 1) * 360 / num_images for index in range(last)), 0.0],
        kept=(last, *range(last)),
        certainty="angles read from the script; field of view documented",
    )


_SV4D2: dict[str, Any] = {
    "order": "view by view",
    "certainty": "angles and order read from the script; field of view inferred from SV3D's",
}
_CANONICAL: dict[str, Any] = {
    "projection": "ortho",
    "reference": "not a view",
}  # azimuth 0 is the object's own front
_RINGS = {"sv3d-core": _sv3d_core, "sv3d-script": _sv3d_script}

CAMERA_RIGS: dict[str, CameraRig] = {
    "sv4d2": _orbit_of_input((60, 120, 180, 240), **_SV4D2),
    "sv4d2-8": _orbit_of_input((30, 75, 120, 165, 210, 255, 300, 330), **_SV4D2),
    "sv4d": _orbit_of_input(
        [k * 360 / 21 for k in (2, 5, 7, 9, 12, 14, 16, 19)],
        order="view by view",
        certainty="angles and order read from the script; field of view that of SV3D",
    ),
    "sv3d-core": _sv3d_core(_SV3D_IMAGES),
    "sv3d-script": _sv3d_script(_SV3D_IMAGES),
    "mv-adapter": _level(
        (0, 45, 90, 180, 270, 315),
        certainty="read from the code, measured on published images",
        **_CANONICAL,
    ),
    "mv-adapter-mesh": CameraRig(
        azimuths_deg=(0.0, 90.0, 180.0, 270.0, 180.0, 180.0),
        elevations_deg=(0.0, 0.0, 0.0, 0.0, 89.99, -89.99),
        certainty="read from the code, measured on published images",
        **_CANONICAL,
    ),
    "era3d": _level((0, 45, 90, 180, 270, 315), certainty="read from the code", **_CANONICAL),
    "wonder3d": _level(
        (0, 45, 90, 180, 270, 315),
        elevation_kind="tilted",
        projection="ortho",
        certainty="read from the pose files; tilt with the input camera documented",
    ),
    "unique3d": _level((0, 90, 180, 270), projection="ortho", certainty="read from the code"),
    "imagedream": _level(
        (270, 0, 90, 180),
        elevation_kind="relative",
        certainty="angles read from the pipeline; field of view varied in training: approximate",
    ),
    "mvdream": CameraRig(
        azimuths_deg=(0.0, 90.0, 180.0, 270.0),
        elevations_deg=(15.0,) * 4,
        reference="not a view",
        certainty="angles read from the script; field of view varied in training: approximate",
    ),
    "zero123++1.1": _zero123plus(
        (30.0, -20.0), fovy_deg=math.degrees(2 * math.atan(16 / 35)), certainty="documented"
    ),
    "zero123++1.2": _zero123plus((20.0, -10.0), fovy_deg=30.0, certainty="documented"),
    "charactershot": _level(
        [k * 360 / 21 for k in range(21)],
        fovy_deg=math.degrees(2 * math.atan(240 / 1000)),  # 480 rows, focal of 1000 pixels
        radius=HALF_EXTENT * 1000 / 360,  # the longer side, 720 pixels, spans the half extent
        order="view by view",
        certainty="read from the files, measured by carving",
    ),
}
"""Presets by name."""


def camera_rig(name: str, num_images: int | None = None) -> CameraRig:
    """Return the preset of a source.

    Args:
        name: One of ``CAMERA_RIGS``.
        num_images: Images of each frame; None for those of the preset. Only the rings of SV3D may have other
            numbers.

    Raises:
        ValueError: if the name is unknown, or the rig has another number of images.
    """
    if name not in CAMERA_RIGS:
        nearest = get_close_matches(name, CAMERA_RIGS, n=1)
        expected = f"did you mean {nearest[0]}?" if nearest else f"expected one of {', '.join(CAMERA_RIGS)}."
        raise ValueError(f"rig: unknown rig {name!r}; {expected}")
    rig = CAMERA_RIGS[name]
    if num_images is None or num_images == rig.num_images:
        return rig
    if name not in _RINGS or num_images < 2:
        raise ValueError(f"rig {name}: {num_images} images of each frame; expected {rig.num_images}.")
    return _RINGS[name](num_images)
