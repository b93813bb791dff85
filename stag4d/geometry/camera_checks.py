"""Checks of cameras from files and other programs; errors name the camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .projection import Projection

_ROTATION_TOLERANCE = 1e-3  # of R R^T from the identity; beyond, the matrix is no rotation
_ROUNDING = 1e-6  # of float32: rotations this close to orthonormal are kept as they are
_NO_DISTORTION = 1e-8
_PINHOLE_MODELS = ("PINHOLE", "SIMPLE_PINHOLE")
_DISTORTED_MODELS = ("OPENCV", "SIMPLE_RADIAL", "RADIAL", "FULL_OPENCV", "PERSPECTIVE")
_KNOWN_MODELS = (*_PINHOLE_MODELS, *_DISTORTED_MODELS)
_UNDISTORT = "undistort the images first, with `colmap image_undistorter` or `ns-process-data`"


def check_viewmats(viewmats: Tensor, names: Sequence[str]) -> Tensor:
    """Return rigid matrices whose rotations are exactly orthonormal.

    Args:
        viewmats: [C, 4, 4], world-to-camera or camera-to-world.
        names: C names for error messages, such as ``view 2, frame 5``.

    Returns:
        [C, 4, 4] of the same type. A matrix that is orthonormal to the rounding of float32 is unchanged.

    Raises:
        ValueError: if a matrix is not finite, has another last row, or its axes are not orthonormal to 1e-3
            or mirrored.
    """
    if viewmats.shape[1:] != (4, 4):
        raise ValueError(f"cameras: matrices have shape {list(viewmats.shape)}; expected [C, 4, 4].")
    values = viewmats.double()
    last_row = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64, device=values.device)
    identity = torch.eye(3, dtype=torch.float64, device=values.device)
    checked = viewmats.clone()
    for index, (name, matrix) in enumerate(zip(names, values, strict=True)):
        if not matrix.isfinite().all():
            raise ValueError(f"{name}: the camera matrix is not finite; every number must be.")
        if (matrix[3] - last_row).abs().max() > _ROTATION_TOLERANCE:
            raise ValueError(
                f"{name}: the last row of the camera matrix is {matrix[3].tolist()}; expected [0, 0, 0, 1]. "
                "Is the matrix transposed?"
            )
        rotation = matrix[:3, :3]
        error = (rotation @ rotation.T - identity).abs().max().item()
        if error > _ROTATION_TOLERANCE:
            raise ValueError(
                f"{name}: the axes of the camera matrix are not orthonormal (by {error:.2g}); expected a "
                "rotation without scale."
            )
        if torch.linalg.det(rotation) < 0:
            raise ValueError(
                f"{name}: the camera matrix has mirrored axes (determinant -1); expected a rotation. Is the "
                "world of the source left-handed?"
            )
        if error > _ROUNDING:
            left, _, right = torch.linalg.svd(rotation)
            checked[index, :3, :3] = (left @ right).to(checked)
        checked[index, 3] = last_row.to(checked)
    return checked


def check_intrinsics(Ks: Tensor, names: Sequence[str]) -> Tensor:
    """Return intrinsics [C, 3, 3] as they are.

    Args:
        Ks: [C, 3, 3], pixels.
        names: C names for error messages.

    Raises:
        ValueError: if a matrix is not finite, has focals that are not positive, a skew or another last row.
    """
    if Ks.shape[1:] != (3, 3):
        raise ValueError(f"cameras: intrinsics have shape {list(Ks.shape)}; expected [C, 3, 3].")
    for name, K in zip(names, Ks.double().cpu(), strict=True):
        if not K.isfinite().all():
            raise ValueError(f"{name}: the intrinsics are not finite; every number must be.")
        fx, fy, skew = K[0, 0].item(), K[1, 1].item(), K[0, 1].item()
        if fx <= 0 or fy <= 0:
            raise ValueError(f"{name}: focals {fx:g} and {fy:g}; expected positive numbers of pixels.")
        if skew != 0 or K[1, 0] != 0:
            raise ValueError(
                f"{name}: skew {skew or K[1, 0].item():g}; expected 0, which a rectified image has."
            )
        if K[2].tolist() != [0, 0, 1]:
            raise ValueError(
                f"{name}: the last row of the intrinsics is {K[2].tolist()}; expected [0, 0, 1]."
            )
    return Ks


def check_origin_in_front(viewmats: Tensor, projection: Projection, names: Sequence[str]) -> None:
    """Raise ValueError if the origin, where the object is, is behind a pinhole camera.

    Args:
        viewmats: [C, 4, 4] world-to-camera in our world.
        projection: Projection of the cameras.
        names: C names for error messages.
    """
    if projection == "ortho":
        return
    for name, depth in zip(names, viewmats[:, 2, 3].tolist(), strict=True):
        if depth <= 0:
            raise ValueError(
                f"{name}: the center of the object is behind the camera (z {depth:.3g}); expected cameras "
                "around the object. Give its center, or cameras with z forward."
            )


def check_distortion(coefficients: Mapping[str, float], name: str) -> None:
    """Raise ValueError unless all coefficients of a lens distortion are 0.

    Args:
        coefficients: Values by name, such as k1 to k6, p1, p2.
        name: The camera for error messages.
    """
    for key, value in coefficients.items():
        if not abs(value) < _NO_DISTORTION:  # not-a-number, too
            raise ValueError(f"{name} has {key}={value:g}; expected no lens distortion: {_UNDISTORT}.")


def check_camera_model(model: str, name: str) -> None:
    """Raise ValueError for a camera model other than a pinhole, or one that is a pinhole without distortion.

    Args:
        model: Name in COLMAP's or nerfstudio's files, such as OPENCV_FISHEYE.
        name: The camera for error messages.
    """
    if model.upper() not in _KNOWN_MODELS:
        raise ValueError(
            f"{name} has camera model {model}; expected one of {', '.join(_KNOWN_MODELS)} without "
            f"distortion: {_UNDISTORT}."
        )
