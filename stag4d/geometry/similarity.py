"""Alignment of cameras from a world of their own to ours: one rotation, scale and translation per clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .camera_frames import camera_centers, nearest_point_of_axes
from .orbit import DEFAULT_RADIUS
from .projection import Projection
from .quaternions import multiply_quats, rotations_to_quats

_DEGENERATE = 1e-6  # share of a direction that is not along the up axis


@dataclass(frozen=True, eq=False)
class Similarity:
    """The map x' = scale * rotation @ (x - center) from a source's world to ours.

    Its methods keep the type of their tensors.

    Attributes:
        rotation: Float64 [3, 3], rows: our x, y and z axes in the source's world.
        scale: World units per unit of the source.
        center: Float64 [3], the point of the source that becomes the origin.
    """

    rotation: Tensor
    scale: float
    center: Tensor

    def viewmats(self, viewmats: Tensor) -> Tensor:
        """Return world-to-camera matrices [C, 4, 4] in our world."""
        values = viewmats.double().cpu()
        aligned = values.clone()
        aligned[:, :3, :3] = values[:, :3, :3] @ self.rotation.T
        aligned[:, :3, 3] = self.scale * (values[:, :3, 3] + values[:, :3, :3] @ self.center)
        return aligned.to(viewmats)

    def intrinsics(self, Ks: Tensor, projection: Projection) -> Tensor:
        """Return intrinsics [C, 3, 3] in our world; those of a pinhole do not change."""
        if projection == "pinhole":
            return Ks
        scaled = Ks.clone()
        scaled[:, :2, :2] /= self.scale
        return scaled

    def points(self, points: Tensor) -> Tensor:
        """Return points [N, 3] in our world."""
        return (self.scale * (points.double().cpu() - self.center) @ self.rotation.T).to(points)

    def scales(self, scales: Tensor) -> Tensor:
        """Return standard deviations [N, 3] of Gaussians in our world."""
        return scales * self.scale

    def quats(self, quats: Tensor) -> Tensor:
        """Return rotations [N, 4] wxyz of Gaussians in our world."""
        turn = rotations_to_quats(self.rotation)
        return multiply_quats(turn, quats.double().cpu()).to(quats)


def similarity_alignment(
    viewmats: Tensor,
    reference: int = 0,
    *,
    r_target: float | None = None,
    scale: float | None = None,
    center: Tensor | None = None,
    up: Tensor | None = None,
    front: Tensor | None = None,
) -> Similarity:
    """Return the map that moves the object to the origin, and the reference camera to azimuth 0.

    Args:
        viewmats: [C, 4, 4] world-to-camera of the source.
        reference: Index of the camera that gets azimuth 0, and whose distance determines the scale.
        r_target: Distance of the reference camera from the origin in our world; by default 2.
        scale: World units per unit of the source, in place of ``r_target``.
        center: [3] of the object, such as the mean of its points; None for the point nearest to all optical
            axes.
        up: [3] up axis of the source; None for the mean up direction of the cameras.
        front: [3] direction from the object to azimuth 0, where no camera is the reference.

    Returns:
        The map.

    Raises:
        ValueError: if the optical axes are parallel and no center is given, the reference is straight above
            or below the center, or the scale is not positive.
    """
    values = viewmats.double().cpu()
    middle = nearest_point_of_axes(values) if center is None else center.double().cpu()
    if middle is None:
        raise ValueError(
            f"cameras: the optical axes of {len(values)} cameras are parallel; expected a center of the "
            "object, or points of it."
        )
    offset = camera_centers(values)[reference] - middle  # [3]
    vertical = _unit(-values[:, 1, :3].mean(dim=0) if up is None else up.double().cpu(), "up axis")
    facing = offset if front is None else front.double().cpu()
    level = facing - (facing @ vertical) * vertical
    if level.norm() <= _DEGENERATE * facing.norm():
        raise ValueError(
            "cameras: the reference is straight above or below the center; expected one with an azimuth, or "
            "a front direction."
        )
    depth = _unit(level, "front")
    rotation = torch.stack([torch.linalg.cross(vertical, depth), vertical, depth])
    if scale is None:
        scale = (DEFAULT_RADIUS if r_target is None else r_target) / offset.norm().item()
    if not 0 < scale < float("inf"):
        raise ValueError(f"cameras: scale {scale:g}; expected a positive number.")
    return Similarity(rotation, scale, middle)


def place_ortho_cameras(viewmats: Tensor, distance: float = DEFAULT_RADIUS) -> Tensor:
    """Return orthographic cameras at a distance from the origin along their axes; their images are the same.

    Args:
        viewmats: [..., 4, 4] world-to-camera.
        distance: Camera z of the origin, world units: the object must lie in front of the camera.

    Returns:
        [..., 4, 4].
    """
    placed = viewmats.clone()
    placed[..., 2, 3] = distance
    return placed


def _unit(vector: Tensor, name: str) -> Tensor:
    """Return a vector [3] at length 1; raises ValueError if it is 0 or not finite."""
    length = vector.norm()
    if not 0 < length < float("inf"):
        raise ValueError(f"cameras: the {name} is {vector.tolist()}; expected a direction.")
    return vector / length
