"""Records of COLMAP's files as they are stored, unchecked."""

from __future__ import annotations

from typing import NamedTuple

MAX_CAMERAS = 100_000
MAX_IMAGES = 1_000_000


class CameraRecord(NamedTuple):
    """A camera: its id, the name of its model, the image size in pixels, and the model's parameters."""

    camera_id: int
    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


class ImageRecord(NamedTuple):
    """An image: its id, quaternion (wxyz) and translation of world-to-camera, camera id and name."""

    image_id: int
    quat: tuple[float, ...]
    translation: tuple[float, ...]
    camera_id: int
    name: str
