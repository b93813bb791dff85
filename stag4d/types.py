"""Values that several packages share: cameras, input videos, renders.

Images are float 0..1, sRGB as decoded; their straight alpha is a tensor of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .devices import to_device
from .geometry import (
    OrbitPose,
    Projection,
    RigCameras,
    check_projection,
    intrinsics,
    orbit_viewmats,
    project_points,
)

MAX_FRAMES = 2**16  # of a video: 45 minutes at 24 frames per second
DEFAULT_FPS = 8.0  # of images and splats without a frame rate
MAX_FPS = 1e4  # frames per second


@dataclass(frozen=True, eq=False)
class Cameras:
    """C cameras of one image size and projection, OpenCV axes.

    Attributes:
        viewmats: [C, 4, 4] world-to-camera.
        Ks: [C, 3, 3] intrinsics, pixels; pixel centers at +0.5. Focals of orthographic cameras are pixels per
            world unit.
        width: Image width, pixels.
        height: Image height, pixels.
        projection: "pinhole" or "ortho".
    """

    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int
    projection: Projection = "pinhole"

    def __post_init__(self) -> None:
        """Check shapes and projection; raises ValueError with what was found."""
        count = self.viewmats.shape[0] if self.viewmats.ndim == 3 else -1
        if self.viewmats.shape != (count, 4, 4):
            raise ValueError(f"cameras: viewmats have shape {list(self.viewmats.shape)}; expected [C, 4, 4].")
        if self.Ks.shape != (count, 3, 3):
            raise ValueError(f"cameras: Ks have shape {list(self.Ks.shape)}; expected [{count}, 3, 3].")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"cameras: image size {self.width}x{self.height}; expected at least one pixel.")
        check_projection(self.projection, "cameras")

    @classmethod
    def from_poses(cls, poses: Sequence[OrbitPose], width: int, height: int) -> Cameras:
        """Return cameras at C orbit poses, all with the same image size in pixels."""
        return cls(
            orbit_viewmats(poses), intrinsics([pose.fovy_deg for pose in poses], width, height), width, height
        )

    @classmethod
    def from_rig(cls, rig: RigCameras, width: int, height: int) -> Cameras:
        """Return the cameras of a rig, which were made for images of that size in pixels."""
        return cls(rig.viewmats, rig.Ks, width, height, rig.projection)

    def __len__(self) -> int:
        """Return C."""
        return self.viewmats.shape[0]

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Cameras:
        """Return the chosen cameras, still as a batch."""
        return replace(self, viewmats=self.viewmats[index], Ks=self.Ks[index])

    def to(self, device: torch.device | str) -> Cameras:
        """Return the same cameras on a device."""
        device = torch.device(device)
        return replace(self, viewmats=to_device(self.viewmats, device), Ks=to_device(self.Ks, device))

    @property
    def centers(self) -> Tensor:
        """Return the camera centers in the world, [C, 3]."""
        return -(self.viewmats[:, :3, :3].transpose(1, 2) @ self.viewmats[:, :3, 3:])[..., 0]

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return pixels [N, 2] and camera z [N] of points [N, 3] in the first camera."""
        return project_points(points, self.viewmats[0], self.Ks[0], self.projection)

    @property
    def angles_deg(self) -> tuple[float, float]:
        """Return azimuth and elevation of the direction against which the first camera looks, degrees."""
        x, y, z = (-self.viewmats[0, 2, :3]).tolist()
        return math.degrees(math.atan2(x, z)), math.degrees(math.atan2(y, math.hypot(x, z)))

    @property
    def half_extent(self) -> float:
        """Return half the height that the first camera sees in the plane of the origin, world units."""
        depth = float(self.viewmats[0, 2, 3]) if self.projection == "pinhole" else 1.0
        return depth * self.height / 2 / float(self.Ks[0, 1, 1])

    def towards(self, points: Tensor) -> Tensor:
        """Return unit directions [N, 3] from points [N, 3] to the first camera; parallel if orthographic."""
        if self.projection == "ortho":
            return -self.viewmats[0, 2, :3].expand_as(points)
        return normalize(self.centers[:1] - points, dim=-1)


@dataclass(frozen=True, eq=False)
class InputVideo:
    """Prepared frames of a video of one object, see ``matting.crop_video``.

    Attributes:
        images: [F, S, S, 3] straight colors, 0..1.
        alphas: [F, S, S].
        fps: Frames per second.
        elevation_deg: Elevation of the camera, degrees, positive above the object.
        crop_offsets: [F, 2] of the square that followed the object, to the right and down, in units of its
            side, see ``matting.CroppedVideo``; None if the square did not move.
    """

    images: Tensor
    alphas: Tensor
    fps: float = DEFAULT_FPS
    elevation_deg: float = 0.0
    crop_offsets: Tensor | None = None

    def __len__(self) -> int:
        """Return F."""
        return len(self.images)


@dataclass(frozen=True, eq=False)
class RenderOutput:
    """Renders of C cameras.

    Attributes:
        images: [C, H, W, 3], composited on the renderer's background.
        alphas: [C, H, W].
        depths: [C, H, W] expected camera z where alpha is positive, else 0; None unless requested.
        meta: The rasterizer's projected Gaussians, such as ``means2d`` and ``radii`` [C, N, 2], pixels; empty
            for renders of several times.
    """

    images: Tensor
    alphas: Tensor
    depths: Tensor | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


def frame_times(num_frames: int) -> Tensor:
    """Return times of F evenly spaced frames, float32 [F], 0 to 1 inclusive; a single frame is at 0."""
    return torch.linspace(0.0, 1.0, num_frames) if num_frames > 1 else torch.zeros(num_frames)
