"""``ViewTrack``: the images of one camera, which may move, over the frames of a video."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .geometry import OrbitPose, nearest_orbit
from .types import Cameras

_TOLERANCE = 0.01  # of pixels outside 0..1: more than the rounding of bfloat16


@dataclass(frozen=True, eq=False, kw_only=True)
class ViewTrack:
    """The images of one camera at F frames.

    Attributes:
        images: [F, h, w, 3] straight colors, floats in 0..1 or uint8.
        alphas: [F, h, w] coverage of the object in them, floats or uint8, too.
        cameras: The camera, of the images' size; F cameras if it moves.
        pose: The camera as an orbit pose; None if it is none.
        weights: [F] weights of the images in the losses; None for 1.
        name: What messages and folders call the view.
    """

    images: Tensor
    alphas: Tensor
    cameras: Cameras
    pose: OrbitPose | None = None
    weights: Tensor | None = None
    name: str = "view"

    def __post_init__(self) -> None:
        """Check shapes and ranges; raises ValueError with what was found."""
        subject = f"views: {self.name}"
        _check_images(subject, self.images, self.alphas, self.images.shape[:1])
        if len(self) < 1:
            raise ValueError(f"{subject}: no frames; expected at least one.")
        size, found = (self.cameras.width, self.cameras.height), (self.images.shape[2], self.images.shape[1])
        if size != found:
            raise ValueError(
                f"{subject}: camera of {size[0]}x{size[1]} pixels for images of {found[0]}x{found[1]}; "
                "expected one size."
            )
        if len(self.cameras) not in (1, len(self)):
            raise ValueError(
                f"{subject}: {len(self.cameras)} cameras for {len(self)} frames; expected one or as many."
            )
        if self.weights is not None:
            _check_weights(self.weights, len(self), subject)

    @classmethod
    def from_pose(cls, images: Tensor, alphas: Tensor, pose: OrbitPose, name: str = "view") -> ViewTrack:
        """Return the images [F, h, w, 3] and alphas [F, h, w] of a camera that rests at an orbit pose."""
        height, width = images.shape[1:3]
        cameras = Cameras.from_poses([pose], width, height)
        return cls(images=images, alphas=alphas, cameras=cameras, pose=pose, name=name)

    def __len__(self) -> int:
        """Return F."""
        return len(self.images)

    def at(self, frame: int) -> tuple[Tensor, Tensor]:
        """Return a frame's image [h, w, 3] and alpha [h, w] as floats in 0..1."""
        return as_floats(self.images[frame]), as_floats(self.alphas[frame])

    def camera(self, frame: int) -> Cameras:
        """Return the camera at a frame, a batch of one."""
        return self.cameras[[frame if len(self.cameras) > 1 else 0]]

    @property
    def orbit_pose(self) -> OrbitPose | None:
        """Return the orbit pose of a pinhole camera that does not move, without a roll of up to 2 degrees."""
        if self.pose is not None or len(self.cameras) > 1 or self.cameras.projection == "ortho":
            return self.pose
        return nearest_orbit(self.cameras.viewmats[0], self.cameras.Ks[0], self.cameras.height)

    def weighted(self, factor: float | Tensor) -> ViewTrack:
        """Return the track with weights in the losses multiplied by a number, or by one per frame [F]."""
        weights = torch.ones(len(self)) if self.weights is None else self.weights
        return replace(self, weights=weights * factor)

    def weight(self, frame: int) -> float:
        """Return the weight of a frame's image in the losses."""
        return 1.0 if self.weights is None else float(self.weights[frame])


def check_square(images: Tensor, subject: str) -> None:
    """Raise ValueError unless images [..., H, W, 3] are square."""
    height, width = images.shape[-3], images.shape[-2]
    if height != width:
        raise ValueError(
            f"{subject}: {width}x{height} pixels; expected square images, as STAG4D Prepare Frames, `python "
            "-m stag4d multiview` and crop_video make them."
        )


def as_floats(values: Tensor) -> Tensor:
    """Return pixels as floats in 0..1."""
    return values if values.is_floating_point() else values.float() / 255


def _check_weights(weights: Tensor, count: int, subject: str) -> None:
    """Raise ValueError unless weights are [F] finite numbers of at least 0."""
    if weights.shape != (count,):
        raise ValueError(f"{subject}: weights have shape {list(weights.shape)}; expected [{count}].")
    if not bool((weights >= 0).all()) or not bool(weights.isfinite().all()):
        raise ValueError(f"{subject}: weights {weights.tolist()}; expected finite numbers of at least 0.")


def _check_images(subject: str, images: Tensor, alphas: Tensor, batch: tuple[int, ...]) -> None:
    """Raise ValueError unless images [*batch, H, W, 3] and alphas [*batch, H, W] match and are in range."""
    check_shapes(subject, images, alphas, batch)
    if not all(part.is_floating_point() or part.dtype == torch.uint8 for part in (images, alphas)):
        raise ValueError(
            f"{subject}: images are {images.dtype}, alphas {alphas.dtype}; expected floats or uint8."
        )
    for values, name in ((images, "pixels"), (alphas, "alphas")):
        for part in values if values.is_floating_point() else ():  # frame by frame, for the sake of memory
            low, high = (value.item() for value in part.aminmax())  # NaN if a value is
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"{subject}: not-a-number or infinite {name}; every value must be finite.")
            if low < -_TOLERANCE or high > 1 + _TOLERANCE:
                raise ValueError(f"{subject}: {name} from {low:g} to {high:g}; expected 0 to 1.")


def check_shapes(subject: str, images: Tensor, alphas: Tensor, batch: tuple[int, ...]) -> None:
    """Raise ValueError unless images are [*batch, H, W, 3] and alphas [*batch, H, W]."""
    if images.ndim != len(batch) + 3 or images.shape[: len(batch)] != batch or images.shape[-1] != 3:
        raise ValueError(
            f"{subject}: images have shape {list(images.shape)}; expected {[*batch, 'H', 'W', 3]}."
        )
    if alphas.shape != images.shape[:-1]:
        raise ValueError(
            f"{subject}: alphas have shape {list(alphas.shape)}; expected {list(images.shape[:-1])}."
        )
