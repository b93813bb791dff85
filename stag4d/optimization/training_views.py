"""The given images at the size of the fit, and the targets of renders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.resizing import resize_with_alpha
from ..devices import to_device
from ..geometry import angle_deg
from ..types import Cameras
from ..view_set import ViewSet, ViewTrack


class Targets(NamedTuple):
    """Targets of C renders.

    Attributes:
        images: [C, H, W, 3] composited on the backgrounds.
        alphas: [C, H, W].
    """

    images: Tensor
    alphas: Tensor


class TrainingBatch(NamedTuple):
    """Given images of some frames, of one size and projection, frame by frame.

    Attributes:
        positions: [C] indices into the chosen views, in ascending order, on the CPU.
        cameras_per_frame: How many of the C there are of each frame.
        cameras: C cameras at the size of the renders.
        backgrounds: [C, 3] RGB.
        targets: C images.
        is_reference: [C] bool, which of them are the input video's, on the CPU.
        weights: [C] weights in the losses, on the CPU.
    """

    positions: Tensor
    cameras_per_frame: list[int]
    cameras: Cameras
    backgrounds: Tensor
    targets: Targets
    is_reference: Tensor
    weights: Tensor


@dataclass(frozen=True, eq=False)
class TrackGroup:
    """The images of G tracks of one size and projection.

    Attributes:
        indices: [G] of the tracks, in ascending order, on the CPU.
        premultiplied: [F, G, H, W, 4] uint8 RGBA, color times alpha: a fourth of the memory of floats.
        cameras: G cameras, or F * G, frame by frame, if one of them moves.
        weights: [F, G] weights of the images in the losses, on the CPU.
    """

    indices: Tensor
    premultiplied: Tensor
    cameras: Cameras
    weights: Tensor

    def to(self, device: torch.device | str) -> TrackGroup:
        """Return the same images and cameras on a device; what selects them stays on the CPU."""
        return replace(self, premultiplied=self.premultiplied.to(device), cameras=self.cameras.to(device))

    def cameras_at(self, frame: int) -> Cameras:
        """Return the G cameras at a frame."""
        count = len(self.indices)
        first = frame * count if len(self.cameras) > count else 0
        return self.cameras[first : first + count]


@dataclass(frozen=True, eq=False)
class TrainingViews:
    """All given images. View 0 is the input video, if the set has it; the others follow in their order.

    Attributes:
        groups: Views of one size and projection each.
        size: Longer side of the images, pixels.
        has_reference: Whether view 0 is the input video.
    """

    groups: tuple[TrackGroup, ...]
    size: int
    has_reference: bool = True

    @classmethod
    def from_views(cls, views: ViewSet, size: int) -> TrainingViews:
        """Resize all images so that their longer sides have ``size`` pixels."""
        tracks = list(views.views) if views.reference is None else [views.reference_track, *views.views]
        members: dict[tuple[int, int, str], list[int]] = {}
        for index, track in enumerate(tracks):
            height, width = _scaled(track.images.shape[1:3], size / max(track.images.shape[1:3]))
            members.setdefault((height, width, track.cameras.projection), []).append(index)
        groups = [
            _group(indices, [tracks[index] for index in indices], (height, width))
            for (height, width, _), indices in members.items()
        ]
        return cls(tuple(groups), size, views.reference is not None)

    def to(self, device: torch.device | str) -> TrainingViews:
        """Return the same views on a device."""
        return replace(self, groups=tuple(group.to(device) for group in self.groups))

    @property
    def num_frames(self) -> int:
        """Return F."""
        return self.groups[0].premultiplied.shape[0]

    @property
    def num_cameras(self) -> int:
        """Return the number of views, that of the input video counted."""
        return sum(len(group.indices) for group in self.groups)

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Return height and width of the images of each group, pixels."""
        return [(group.cameras.height, group.cameras.width) for group in self.groups]

    @property
    def tensors(self) -> list[Tensor]:
        """Return all images, cameras and weights that are not 1, for a hash of the inputs."""
        values = []
        for group in self.groups:
            values += [group.premultiplied, group.cameras.viewmats, group.cameras.Ks]
            values += [group.weights] if (group.weights != 1).any() else []
        return values

    def views_at(self, frame: int) -> Iterator[tuple[Tensor, Cameras]]:
        """Yield premultiplied image [H, W, 4] in 0..1 and camera of each view at a frame, on the CPU."""
        for _, group, position in self._members():
            rgba = group.premultiplied[frame, position].cpu().float() / 255
            yield rgba, group.cameras_at(frame)[[position]].to("cpu")

    def batches(
        self, frames: Sequence[int], chosen: Tensor, backgrounds: Tensor, size: int
    ) -> Iterator[TrainingBatch]:
        """Yield chosen views of T frames, those of each size and projection together.

        Args:
            frames: T frame indices.
            chosen: [T, V] view indices of each frame, on the CPU.
            backgrounds: [T * V, 3] RGB, on which the targets are composited, on the views' device.
            size: Longer side of the targets, pixels; below that of the views they are averaged over areas.
        """
        num_chosen = chosen.shape[1]
        chosen = chosen.flatten()  # [T * V]
        frame_of = torch.tensor(frames).repeat_interleave(num_chosen)  # [T * V]
        for group in self.groups:
            positions = torch.isin(chosen, group.indices).nonzero()[:, 0]  # [c]
            if len(positions) == 0:
                continue
            members = torch.searchsorted(group.indices, chosen[positions])  # [c]
            image_indices = frame_of[positions] * len(group.indices) + members  # [c] into F * G
            camera_indices = image_indices % len(group.cameras)  # [c]; G cameras, or F * G that move
            weights = group.weights.flatten()[image_indices]
            # In one copy to a GPU.
            indices = to_device(torch.stack([positions, image_indices, camera_indices]), backgrounds.device)
            rgba = group.premultiplied.flatten(0, 1)[indices[1]].float() / 255  # [c, H, W, 4]
            behind = backgrounds[indices[0]]  # [c, 3]
            targets = _composited(rgba, behind, size / self.size)
            height, width = targets.alphas.shape[1:]
            yield TrainingBatch(
                positions,
                (positions // num_chosen).bincount(minlength=len(frames)).tolist(),
                _resized(group.cameras[indices[2]], height, width),
                behind,
                targets,
                (chosen[positions] == 0) & self.has_reference,
                weights,
            )

    def motion(self, frames: Sequence[int]) -> Tensor:
        """Return the share of the silhouettes that changes from each of M frames to the next, [M - 1].

        It is the mean absolute difference of the alphas of all views, relative to their mean: 0 at rest, 2
        where the object leaves its whole silhouette.
        """
        changes, areas = [], []
        before: list[Tensor] = []
        for frame in frames:
            alphas = [group.premultiplied[frame, ..., 3].float() / 255 for group in self.groups]  # [G, H, W]
            areas.append(sum(_mean_sum(part) for part in alphas))
            if before:
                pairs = zip(before, alphas, strict=True)
                changes.append(sum(_mean_sum((one - two).abs()) for one, two in pairs))
            before = alphas
        return torch.tensor(changes) / max(sum(areas) / len(areas), 1e-6)

    def on_white(self, view: int) -> Targets:
        """Return one view's images of all frames, [F, H, W, 3] on white, and their alphas."""
        _, group, position = next(member for member in self._members() if member[0] == view)
        white = torch.ones(1, 3, device=group.premultiplied.device)
        frames = [
            _composited(group.premultiplied[frame, [position]].float() / 255, white, 1.0)
            for frame in range(self.num_frames)
        ]
        return Targets(torch.cat([one.images for one in frames]), torch.cat([one.alphas for one in frames]))

    def cameras_of(self, view: int) -> Cameras:
        """Return one view's camera at each of the F frames, on the CPU."""
        _, group, position = next(member for member in self._members() if member[0] == view)
        cameras = [group.cameras_at(frame)[[position]].to("cpu") for frame in range(self.num_frames)]
        return replace(
            cameras[0],
            viewmats=torch.cat([camera.viewmats for camera in cameras]),
            Ks=torch.cat([camera.Ks for camera in cameras]),
        )

    def empty_frames(self) -> list[set[int]]:
        """Return of each view the frames at which no pixel's alpha reaches one half."""
        empty: list[set[int]] = []
        for _, group, position in self._members():
            largest = group.premultiplied[:, position, ..., 3].amax(dim=(1, 2))  # [F]
            empty.append(set((largest < 128).nonzero()[:, 0].tolist()))
        return empty

    def nearest_views(self, view: int) -> list[int]:
        """Return the other views that look in the nearest direction, ties within 0.01 degrees."""
        forwards = [self.cameras_of(index).viewmats[0, 2, :3] for index in range(self.num_cameras)]
        angles = {
            index: angle_deg(forwards[view], forward)
            for index, forward in enumerate(forwards)
            if index != view
        }
        return [index for index, angle in angles.items() if angle <= min(angles.values()) + 0.01]

    def _members(self) -> list[tuple[int, TrackGroup, int]]:
        """Return view index, group and position in the group of each view, by view index."""
        members = [
            (index, group, position)
            for group in self.groups
            for position, index in enumerate(group.indices.tolist())
        ]
        return sorted(members, key=lambda member: member[0])


def _mean_sum(images: Tensor) -> float:
    """Return the sum of the means of images [G, H, W]."""
    return images.mean(dim=(1, 2)).sum().item()


def _group(indices: list[int], tracks: list[ViewTrack], size: tuple[int, int]) -> TrackGroup:
    """Return the group of tracks that are resized to one height and width."""
    frames = len(tracks[0])
    premultiplied = torch.empty(frames, len(tracks), *size, 4, dtype=torch.uint8)
    for frame in range(frames):
        for position, track in enumerate(tracks):
            premultiplied[frame, position] = _premultiplied_bytes(*track.at(frame), size)
    moves = any(len(track.cameras) > 1 for track in tracks)
    cameras = [_camera_at(track, frame, *size) for frame in range(frames if moves else 1) for track in tracks]
    batch = replace(
        cameras[0],
        viewmats=torch.cat([camera.viewmats for camera in cameras]),
        Ks=torch.cat([camera.Ks for camera in cameras]),
    )
    weights = torch.tensor([[track.weight(frame) for track in tracks] for frame in range(frames)])
    return TrackGroup(torch.tensor(indices), premultiplied, batch, weights)


def _scaled(size: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Return height and width times a factor, at least a pixel each."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _camera_at(track: ViewTrack, frame: int, height: int, width: int) -> Cameras:
    """Return a track's camera at a frame for images of another size, pixels."""
    if track.pose is not None and height == width:  # without the rounding of a scaled focal length
        return Cameras.from_poses([track.pose], width, height)
    return _resized(track.camera(frame), height, width)


def _resized(cameras: Cameras, height: int, width: int) -> Cameras:
    """Return the cameras of the same images at another size, pixels."""
    if (height, width) == (cameras.height, cameras.width):
        return cameras
    Ks = cameras.Ks.clone()  # [C, 3, 3]
    Ks[:, 0] *= width / cameras.width
    Ks[:, 1] *= height / cameras.height
    return replace(cameras, Ks=Ks, width=width, height=height)


def _composited(rgba: Tensor, backgrounds: Tensor, scale: float) -> Targets:
    """Return premultiplied images [C, H, W, 4] on backgrounds [C, 3], averaged over areas below scale 1."""
    if scale != 1:
        size = _scaled(rgba.shape[1:3], scale)
        rgba = F.interpolate(rgba.permute(0, 3, 1, 2), size=size, mode="area").permute(0, 2, 3, 1)
    alphas = rgba[..., 3]  # [C, h, w]
    return Targets(rgba[..., :3] + (1 - alphas[..., None]) * backgrounds[:, None, None], alphas)


def _premultiplied_bytes(image: Tensor, alpha: Tensor, size: tuple[int, int]) -> Tensor:
    """Return [h, w, 4] uint8, color times alpha, of an image [H, W, 3] and its alpha [H, W]."""
    if image.shape[:2] != size:
        colors, resized_alpha = resize_with_alpha(image.numpy(), alpha.numpy(), size)
        image, alpha = (
            torch.from_numpy(np.ascontiguousarray(colors)),
            torch.from_numpy(np.ascontiguousarray(resized_alpha)),
        )
    rgba = torch.cat([image * alpha[..., None], alpha[..., None]], dim=-1)
    return (rgba.clamp(0, 1) * 255).round().byte()
