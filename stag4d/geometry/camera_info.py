"""Cameras from LOAD3D_CAMERA values of ComfyUI's 3D nodes.

Such a camera is in our world (right-handed, y up) with three.js axes, see ``look_at``. A list of them is one
camera per image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from .look_at import MAX_COORDINATE, look_at_viewmat, quat_viewmat
from .orbit import DEFAULT_FOVY_DEG, intrinsics
from .pose_json import finite_number
from .projection import Projection

FovAxis = Literal["vertical", "smaller"]

MAX_CAMERAS = 4096  # in one list
_MIN_FOVY_DEG = 1e-4
_MIN_EXTENT = 1e-6  # world units, of an orthographic image


class CameraMatrices(NamedTuple):
    """One camera of an image.

    Attributes:
        viewmat: Float32 [4, 4] world-to-camera, OpenCV axes.
        K: Float32 [3, 3] intrinsics, pixels.
        projection: "pinhole" or "ortho".
    """

    viewmat: Tensor
    K: Tensor
    projection: Projection


def read_camera_infos(
    value: object,
    width: int,
    height: int,
    default_fovy_deg: float = DEFAULT_FOVY_DEG,
    fov_axis: FovAxis = "vertical",
) -> list[CameraMatrices]:
    """Return the cameras of a LOAD3D_CAMERA value or a list of them, in their order.

    Args:
        value: One camera, or a list of cameras; perspective and orthographic ones may be mixed.
        width: Image width, pixels.
        height: Image height, pixels.
        default_fovy_deg: Field of view, degrees, of cameras that have none.
        fov_axis: Side of the image that the field of view of perspective cameras spans: "vertical", or
            "smaller" as in ComfyUI's Render Splat.

    Raises:
        ValueError: if the list is empty, or a part of a camera is missing or out of range; it has the index
            of the camera.
    """
    if not isinstance(value, (list, tuple)):
        return [_read_camera(value, width, height, default_fovy_deg, fov_axis)]
    if not 1 <= len(value) <= MAX_CAMERAS:
        raise ValueError(f"camera: a list of {len(value)}; expected 1 to {MAX_CAMERAS} cameras.")
    cameras = []
    for index, camera in enumerate(value):
        try:
            cameras.append(_read_camera(camera, width, height, default_fovy_deg, fov_axis))
        except ValueError as error:
            raise ValueError(f"cameras[{index}]: {error}") from error
    return cameras


def stack_cameras(cameras: Sequence[CameraMatrices]) -> tuple[Tensor, Tensor, Projection]:
    """Return viewmats [C, 4, 4], Ks [C, 3, 3] and the projection of cameras that have the same one.

    Raises:
        ValueError: if projections are mixed.
    """
    projections = [camera.projection for camera in cameras]
    if len(set(projections)) != 1:
        raise ValueError(
            f"cameras: {projections.count('pinhole')} perspective and {projections.count('ortho')} "
            "orthographic ones; expected a single projection."
        )
    viewmats = torch.stack([camera.viewmat for camera in cameras])
    return viewmats, torch.stack([camera.K for camera in cameras]), projections[0]


def read_camera_info(camera: Mapping[str, Any], default_fovy_deg: float) -> tuple[Tensor, float]:
    """Return the perspective camera of a LOAD3D_CAMERA value.

    Its rotation is the quaternion's where there is one; otherwise the camera looks at the target. Zoom
    multiplies the focal length. As in the host, a field of view or zoom of 0 counts as absent.

    Args:
        camera: ``position``, ``quaternion`` or ``target``, ``fov`` (vertical, degrees), ``zoom``,
            ``cameraType``.
        default_fovy_deg: Vertical field of view, degrees, where ``fov`` is absent.

    Returns:
        World-to-camera matrix, float32 [4, 4], and the vertical field of view after zoom, degrees.

    Raises:
        ValueError: if a part is missing or out of range, or the camera is orthographic.
    """
    _check_is_camera(camera)
    if _is_orthographic(camera):
        raise ValueError("camera: orthographic; expected perspective.")
    viewmat = _viewmat(camera)
    fovy_deg, zoom = _fov_and_zoom(camera, default_fovy_deg)
    zoomed_deg = 2 * math.degrees(math.atan(math.tan(math.radians(fovy_deg) / 2) / zoom))
    if not _MIN_FOVY_DEG <= zoomed_deg <= 180 - _MIN_FOVY_DEG:  # beyond, focal lengths are 0 or infinite
        raise ValueError(f"camera: fov {fovy_deg:g} degrees with zoom {zoom:g}; expected a pinhole camera.")
    return viewmat, zoomed_deg


def _read_camera(
    camera: object, width: int, height: int, default_fovy_deg: float, fov_axis: FovAxis
) -> CameraMatrices:
    """Return one camera; raises ValueError as ``read_camera_infos``."""
    info = _check_is_camera(camera)
    if _is_orthographic(info):
        if info.get("frustum"):
            K = _frustum_intrinsics(info, width, height)
        else:
            K = _fov_intrinsics(info, width, height, default_fovy_deg)
        return CameraMatrices(_viewmat(info), K, "ortho")
    viewmat, fovy_deg = read_camera_info(info, default_fovy_deg)
    if fov_axis == "smaller" and width < height:
        tangent = math.tan(math.radians(fovy_deg) / 2) * height / width
        fovy_deg = math.degrees(2 * math.atan(tangent))
    return CameraMatrices(viewmat, intrinsics([fovy_deg], width, height)[0], "pinhole")


def _frustum_intrinsics(camera: Mapping[str, Any], width: int, height: int) -> Tensor:
    """Return the intrinsics [3, 3] of an orthographic camera with a frustum; its vertical extent counts."""
    frustum = camera["frustum"]
    if not isinstance(frustum, Mapping):
        raise ValueError("camera: frustum without sides; expected left, right, top and bottom.")
    left, right, top, bottom = (
        finite_number(frustum.get(side), f"camera: frustum.{side}")
        for side in ("left", "right", "top", "bottom")
    )
    _, zoom = _fov_and_zoom(camera, DEFAULT_FOVY_DEG)
    if right <= left or top <= bottom:
        raise ValueError(
            f"camera: frustum from {left:g} to {right:g} and from {bottom:g} to {top:g}; expected left < "
            "right and bottom < top."
        )
    if max(map(abs, (left, right, top, bottom))) > MAX_COORDINATE:
        raise ValueError(
            f"camera: frustum from {left:g} to {right:g} and from {bottom:g} to {top:g}; expected at most "
            f"{MAX_COORDINATE:g}."
        )
    half_extent = _half_extent((top - bottom) / 2 / zoom)
    focal = height / (2 * half_extent)
    center = width / 2 - focal * (right + left) / 2, height / 2 + focal * (top + bottom) / 2
    return _K(focal, *center)


def _fov_intrinsics(camera: Mapping[str, Any], width: int, height: int, default_fovy_deg: float) -> Tensor:
    """Return the intrinsics [3, 3] of an orthographic camera that spans its field of view at the target.

    As in ComfyUI's Create Camera Info, the smaller side of the image spans it. Without a target, it is one
    unit ahead.
    """
    fovy_deg, zoom = _fov_and_zoom(camera, default_fovy_deg)
    distance = 1.0
    if camera.get("target"):
        distance = math.dist(_components(camera, "position", "xyz"), _components(camera, "target", "xyz"))
    half_extent = _half_extent(distance * math.tan(math.radians(fovy_deg) / 2) / zoom)
    return _K(min(width, height) / (2 * half_extent), width / 2, height / 2)


def _fov_and_zoom(camera: Mapping[str, Any], default_fovy_deg: float) -> tuple[float, float]:
    """Return field of view, degrees, and zoom; 0 counts as absent."""
    fovy_deg = finite_number(camera.get("fov") or default_fovy_deg, "camera: fov")
    zoom = finite_number(camera.get("zoom") or 1.0, "camera: zoom")
    if not 0 < fovy_deg < 180:
        raise ValueError(f"camera: fov {fovy_deg:g} degrees; expected more than 0 and less than 180.")
    if zoom < 0:
        raise ValueError(f"camera: zoom {zoom:g}; expected a positive number.")
    return fovy_deg, zoom


def _half_extent(extent: float) -> float:
    """Return an extent of an orthographic image; raises ValueError unless it is of sane magnitude."""
    if not _MIN_EXTENT <= extent <= MAX_COORDINATE:
        raise ValueError(
            f"camera: orthographic with a half extent of {extent:g}; expected {_MIN_EXTENT:g} to "
            f"{MAX_COORDINATE:g}."
        )
    return extent


def _viewmat(camera: Mapping[str, Any]) -> Tensor:
    """Return the world-to-camera matrix [4, 4]."""
    position = _components(camera, "position", "xyz")
    if camera.get("quaternion"):
        return quat_viewmat(position, _components(camera, "quaternion", "xyzw"))
    return look_at_viewmat(position, _components(camera, "target", "xyz"))


def _check_is_camera(camera: object) -> Mapping[str, Any]:
    """Return a camera as it is; raises ValueError for anything else."""
    if not isinstance(camera, Mapping):
        raise ValueError(f"camera: {camera!r}; expected a camera with a position and a target.")
    return camera


def _is_orthographic(camera: Mapping[str, Any]) -> bool:
    """Return whether a camera is orthographic, by the host's test."""
    return str(camera.get("cameraType", "")).lower().startswith("ortho")


def _components(camera: Mapping[str, Any], field: str, axes: str) -> list[float]:
    """Return the numbers of a field such as ``{"x": 0, "y": 0, "z": 2}``."""
    value = camera.get(field)
    if not isinstance(value, Mapping):
        raise ValueError(f"camera: no {field}; expected one with {', '.join(axes)}.")
    return [finite_number(value.get(axis), f"camera: {field}.{axis}") for axis in axes]


def _K(focal: float, cx: float, cy: float) -> Tensor:
    """Return intrinsics with square pixels, float32 [3, 3]."""
    return torch.tensor([[focal, 0.0, cx], [0.0, focal, cy], [0.0, 0.0, 1.0]], dtype=torch.float32)
