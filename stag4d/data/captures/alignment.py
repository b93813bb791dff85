"""The map from the world of a capture to ours: the object at the origin, the front camera at azimuth 0."""

from __future__ import annotations

import torch
from torch import Tensor

from ...geometry import (
    camera_centers,
    check_origin_in_front,
    enlargement_of_box,
    framing_scale,
    nearest_point_of_axes,
    similarity_alignment,
)
from ...types import Cameras
from .capture import Capture
from .options import CaptureOptions
from .track_images import TrackImages

_UP = {"y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0), "-y": (0.0, -1.0, 0.0)}


def align_tracks(
    capture: Capture, tracks: list[TrackImages], cameras: list[Cameras], options: CaptureOptions
) -> list[Tensor]:
    """Return world-to-camera matrices in our world.

    By default the scale is such that all that the front camera sees at the object's distance lies within the
    half extent of the default camera; an object that is small in its image is enlarged.

    Args:
        capture: The capture.
        tracks: The images of its V views.
        cameras: Their cameras in the source's world, for the whole images before the crop.
        options: Up direction, center, front and scale.

    Returns:
        V tensors, float64 [1 or F, 4, 4].

    Raises:
        ValueError: if the axes of the cameras are parallel and no center is known, or the center is behind a
            camera.
    """
    viewmats = torch.cat([camera.viewmats for camera in cameras])
    front = options.front_of(capture)
    index = sum(len(camera) for camera in cameras[:front])  # of the front camera at the first frame
    center = _center(capture, viewmats, options)
    scale = options.scale or _scale(tracks[front], cameras[front], center)
    up = _up(capture, options)
    similarity = similarity_alignment(viewmats, index, scale=scale, center=center, up=up)
    aligned = [similarity.viewmats(camera.viewmats) for camera in cameras]
    for view, camera, matrices in zip(capture.views, cameras, aligned, strict=True):
        names = [f"{capture.root}: camera {view.name}"] * len(matrices)
        check_origin_in_front(matrices, camera.projection, names)
    return aligned


def _scale(track: TrackImages, cameras: Cameras, center: Tensor) -> float:
    """Return the scale at which what the front camera sees at the object has the default extent."""
    distance = (camera_centers(cameras.viewmats[:1])[0] - center).norm().item()
    if distance == 0:
        raise ValueError("capture: the center is at the front camera; expected it at the object.")
    K = cameras.Ks[0]
    scale = framing_scale(K, cameras.width, cameras.height, cameras.projection, distance)
    return scale * enlargement_of_box(track.object_box, K, cameras.width, cameras.height)


def _center(capture: Capture, viewmats: Tensor, options: CaptureOptions) -> Tensor:
    """Return the point of the source's world that becomes the origin, float64 [3]."""
    if not isinstance(options.center, str):
        return torch.tensor(options.center, dtype=torch.float64)
    given = None if capture.center is None else torch.tensor(capture.center, dtype=torch.float64)
    found = nearest_point_of_axes(viewmats) if options.center == "auto" else given
    found = given if found is None else found
    if found is None:
        raise ValueError(
            f"{capture.root}: the source gives no point of the object, and the axes of its cameras are "
            "parallel, or center is file; expected center as three numbers."
        )
    return found


def _up(capture: Capture, options: CaptureOptions) -> Tensor | None:
    """Return the up direction of the source's world, float64 [3]; None for that of the cameras."""
    up = capture.up if options.up == "auto" else _UP.get(options.up)
    return None if up is None else torch.tensor(up, dtype=torch.float64)
