"""``ViewSet``: the images of one object from several cameras, over the frames of a video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .geometry import OrbitPose, angle_deg, check_offsets, nearest_orbit, pose_towards_origin
from .types import DEFAULT_FPS, MAX_FPS, Cameras, frame_times

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
        return _floats(self.images[frame]), _floats(self.alphas[frame])

    def camera(self, frame: int) -> Cameras:
        """Return the camera at a frame, a batch of one."""
        return self.cameras[[frame if len(self.cameras) > 1 else 0]]

    @property
    def orbit_pose(self) -> OrbitPose | None:
        """Return the orbit pose of a pinhole camera that does not move, without a roll of up to 2 degrees."""
        if self.pose is not None or len(self.cameras) > 1 or self.cameras.projection == "ortho":
            return self.pose
        return nearest_orbit(self.cameras.viewmats[0], self.cameras.Ks[0], self.cameras.height)

    def weight(self, frame: int) -> float:
        """Return the weight of a frame's image in the losses."""
        return 1.0 if self.weights is None else float(self.weights[frame])


@dataclass(frozen=True, eq=False)
class ViewSet:
    """Images of one object from several cameras, at F frames of a video.

    Where the crop of the video followed the object, the views are object-centered: the cameras move with the
    object, by ``offsets``, and the tracks' cameras are those relative to it.

    Attributes:
        tracks: One per camera; sizes and projections may differ.
        reference: Index of the track that is the input video; None if no view is.
        fps: Frame rate of the video, frames per second.
        offsets: [F, 3] translation of the object in the world at each frame; None if the crop did not move.
    """

    tracks: tuple[ViewTrack, ...]
    reference: int | None = 0
    fps: float = DEFAULT_FPS
    offsets: Tensor | None = None

    def __post_init__(self) -> None:
        """Check that the tracks fit together; raises ValueError with what was found."""
        if not self.tracks:
            raise ValueError("views: no tracks; expected the images of at least one camera.")
        counts = {track.name: len(track) for track in self.tracks}
        if len(set(counts.values())) > 1:
            raise ValueError(f"views: different numbers of frames, {counts}; expected equal ones.")
        if self.reference is not None and not 0 <= self.reference < len(self.tracks):
            raise ValueError(
                f"views: reference {self.reference} of {len(self.tracks)} tracks; expected an index or None."
            )
        if not 0 < self.fps < MAX_FPS:
            raise ValueError(f"views: fps is {self.fps}; expected above 0 and below {MAX_FPS:g}.")
        if self.offsets is not None:
            check_offsets(self.offsets, self.num_frames, "views")

    @classmethod
    def from_orbit(
        cls,
        images: Tensor,
        alphas: Tensor,
        view_images: Tensor,
        view_alphas: Tensor,
        input_pose: OrbitPose,
        view_poses: Sequence[OrbitPose],
        fps: float = DEFAULT_FPS,
        offsets: Tensor | None = None,
    ) -> ViewSet:
        """Return the set of an input video and V views of every frame, from orbit poses.

        Args:
            images: [F, H, W, 3] input frames.
            alphas: [F, H, W] coverage of the object in them, 0..1.
            view_images: [F, V, h, w, 3]; V may be 0. The size may differ from the input's.
            view_alphas: [F, V, h, w] coverage in the views.
            input_pose: Camera of the input frames.
            view_poses: Cameras of the V views, in their order.
            fps: See the attribute.
            offsets: See the attribute.
        """
        frames = len(images)
        if frames < 1:
            raise ValueError("views: no frames; expected at least one.")
        _check_shapes("views: posed views", view_images, view_alphas, (frames, len(view_poses)))
        tracks = [ViewTrack.from_pose(images, alphas, input_pose, "input frames")]
        tracks += [
            ViewTrack.from_pose(view_images[:, index], view_alphas[:, index], pose, f"view {index}")
            for index, pose in enumerate(view_poses)
        ]
        return cls(tuple(tracks), 0, fps, offsets)

    @property
    def num_frames(self) -> int:
        """Return F."""
        return len(self.tracks[0])

    @property
    def views(self) -> tuple[ViewTrack, ...]:
        """Return the tracks other than the reference."""
        return tuple(track for index, track in enumerate(self.tracks) if index != self.reference)

    @property
    def num_views(self) -> int:
        """Return V, the reference not counted."""
        return len(self.tracks) - (self.reference is not None)

    @property
    def frame_times(self) -> Tensor:
        """Return the frames' times, [F], 0 to 1 inclusive (0 for a single frame)."""
        return frame_times(self.num_frames)

    @property
    def reference_track(self) -> ViewTrack:
        """Return the track of the input video; raises ValueError if there is none."""
        if self.reference is None:
            raise ValueError(
                "views: none is the input video; expected a set with a reference, a view that is the video's "
                "own camera."
            )
        return self.tracks[self.reference]

    @property
    def images(self) -> Tensor:
        """Return the reference's images as floats, [F, H, W, 3]."""
        return _floats(self.reference_track.images)

    @property
    def alphas(self) -> Tensor:
        """Return the reference's alphas as floats, [F, H, W]."""
        return _floats(self.reference_track.alphas)

    @property
    def view_images(self) -> Tensor:
        """Return the other tracks' images as floats, [F, V, h, w, 3]; ValueError if their sizes differ."""
        self._check_one_size()
        if not self.num_views:
            return torch.zeros(self.num_frames, 0, 1, 1, 3)
        return torch.stack([_floats(track.images) for track in self.views], dim=1)

    @property
    def view_alphas(self) -> Tensor:
        """Return the other tracks' alphas as floats, [F, V, h, w]; ValueError if their sizes differ."""
        self._check_one_size()
        if not self.num_views:
            return torch.zeros(self.num_frames, 0, 1, 1)
        return torch.stack([_floats(track.alphas) for track in self.views], dim=1)

    @property
    def input_pose(self) -> OrbitPose:
        """Return the reference's orbit pose; raises ValueError if there is none."""
        return _pose_of(self.reference_track)

    @property
    def view_poses(self) -> tuple[OrbitPose, ...]:
        """Return the other tracks' orbit poses; raises ValueError if a camera is none."""
        return tuple(_pose_of(track) for track in self.views)

    def chosen(self, indices: Sequence[int]) -> ViewSet:
        """Return the set of the reference, if there is one, and the views with some indices."""
        tracks = [self.views[index] for index in indices]
        if self.reference is None:
            return replace(self, tracks=tuple(tracks))
        return replace(self, tracks=(self.reference_track, *tracks), reference=0)

    def orbit_views(self) -> ViewSet:
        """Return the set of the reference and those views that are square and have orbit poses.

        Guidance models take them as conditioning images.

        Raises:
            ValueError: if there is no reference, or it is not such a view.
        """
        check_square(self.reference_track.images, f"views: {self.reference_track.name}")
        _pose_of(self.reference_track)
        return self.chosen(
            [
                index
                for index, track in enumerate(self.views)
                if track.orbit_pose is not None and track.images.shape[1] == track.images.shape[2]
            ]
        )

    @property
    def first_pose(self) -> OrbitPose:
        """Return the orbit pose from which a viewer shows the scene first: the reference's or the frontmost.

        It sees as much in the plane of the origin as that camera does. If the camera does not look at the
        origin, the pose has its direction and the default field of view.
        """
        track = self.first_track
        first = track.camera(0)
        nearest = nearest_orbit(first.viewmats[0], first.Ks[0], first.height, first.projection)
        return track.pose or nearest or pose_towards_origin(first.centers[0], first.half_extent)

    @property
    def first_track(self) -> ViewTrack:
        """Return the reference or, without one, the track whose first camera is nearest to azimuth 0."""
        if self.reference is not None:
            return self.tracks[self.reference]
        return max(self.tracks, key=lambda track: float(-track.cameras.viewmats[0, 2, 2]))

    def on_white(self, frame: int) -> Tensor:
        """Return a frame and its views on white at the largest of their sizes, [1 + V, S, S, 3]."""
        tracks = (self.reference_track, *self.views)
        for track in tracks:
            check_square(track.images, f"views: {track.name}")
        size = max(track.images.shape[1] for track in tracks)
        resized = []
        for track in tracks:
            image, alpha = track.at(frame)
            white = (image * alpha[..., None] + 1 - alpha[..., None]).permute(2, 0, 1)[None]  # [1, 3, H, W]
            white = interpolate(white, size=(size, size), mode="bilinear", align_corners=False)
            resized.append(white[0].permute(1, 2, 0))
        return torch.stack(resized)

    def _check_one_size(self) -> None:
        sizes = sorted({tuple(track.images.shape[1:3]) for track in self.views})
        if len(sizes) > 1:
            found = ", ".join(f"{width}x{height}" for height, width in sizes)
            raise ValueError(f"views: images of {found} pixels; expected one size to stack them.")


def with_trust(views: ViewSet, falloff: float) -> ViewSet:
    """Return a set whose views weigh less the farther they turn away from the input camera.

    Generated views are the less reliable, the less of what they show is visible in the input.

    Args:
        views: The set.
        falloff: 1 minus the weight of a view from the opposite side; the weight is linear in the angle.

    Raises:
        ValueError: if the number is out of range, or there is no reference.
    """
    if not 0 <= falloff <= 1:
        raise ValueError(f"trust: falloff {falloff:g}; expected 0 to 1.")
    reference = views.reference_track.cameras
    tracks = []
    for index, track in enumerate(views.tracks):
        angles = [
            angle_deg(
                reference.viewmats[frame % len(reference), 2, :3],
                track.cameras.viewmats[frame % len(track.cameras), 2, :3],
            )
            for frame in range(len(track))
        ]
        trust = 1 - falloff * torch.tensor(angles) / 180  # [F]
        weights = trust if track.weights is None else trust * track.weights
        tracks.append(track if index == views.reference else replace(track, weights=weights))
    return replace(views, tracks=tuple(tracks))


def check_square(images: Tensor, subject: str) -> None:
    """Raise ValueError unless images [..., H, W, 3] are square."""
    height, width = images.shape[-3], images.shape[-2]
    if height != width:
        raise ValueError(
            f"{subject}: {width}x{height} pixels; expected square images, as STAG4D Prepare Frames, `python "
            "-m stag4d multiview` and crop_video make them."
        )


def _pose_of(track: ViewTrack) -> OrbitPose:
    if track.orbit_pose is None:
        raise ValueError(
            f"views: the camera of {track.name} is no orbit pose (it is orthographic, moves, is rolled, or "
            "does not look at the origin); expected azimuth, elevation, radius and field of view."
        )
    return track.orbit_pose


def _floats(values: Tensor) -> Tensor:
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
    _check_shapes(subject, images, alphas, batch)
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


def _check_shapes(subject: str, images: Tensor, alphas: Tensor, batch: tuple[int, ...]) -> None:
    """Raise ValueError unless images are [*batch, H, W, 3] and alphas [*batch, H, W]."""
    if images.ndim != len(batch) + 3 or images.shape[: len(batch)] != batch or images.shape[-1] != 3:
        raise ValueError(
            f"{subject}: images have shape {list(images.shape)}; expected {[*batch, 'H', 'W', 3]}."
        )
    if alphas.shape != images.shape[:-1]:
        raise ValueError(
            f"{subject}: alphas have shape {list(alphas.shape)}; expected {list(images.shape[:-1])}."
        )
