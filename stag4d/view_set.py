"""``ViewSet``: the images of one object from several cameras, over the frames of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .geometry import OrbitPose, angle_deg, check_offsets, nearest_orbit, pose_towards_origin
from .types import DEFAULT_FPS, MAX_FPS, frame_times
from .view_track import ViewTrack, as_floats, check_shapes, check_square

__all__ = ["ViewSet", "ViewTrack", "check_square", "with_trust"]


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
        check_shapes("views: posed views", view_images, view_alphas, (frames, len(view_poses)))
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
        return as_floats(self.reference_track.images)

    @property
    def alphas(self) -> Tensor:
        """Return the reference's alphas as floats, [F, H, W]."""
        return as_floats(self.reference_track.alphas)

    @property
    def view_images(self) -> Tensor:
        """Return the other tracks' images as floats, [F, V, h, w, 3]; ValueError if their sizes differ."""
        self._check_one_size()
        if not self.num_views:
            return torch.zeros(self.num_frames, 0, 1, 1, 3)
        return torch.stack([as_floats(track.images) for track in self.views], dim=1)

    @property
    def view_alphas(self) -> Tensor:
        """Return the other tracks' alphas as floats, [F, V, h, w]; ValueError if their sizes differ."""
        self._check_one_size()
        if not self.num_views:
            return torch.zeros(self.num_frames, 0, 1, 1)
        return torch.stack([as_floats(track.alphas) for track in self.views], dim=1)

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
        tracks.append(track if index == views.reference else track.weighted(trust))
    return replace(views, tracks=tuple(tracks))


def _pose_of(track: ViewTrack) -> OrbitPose:
    if track.orbit_pose is None:
        raise ValueError(
            f"views: the camera of {track.name} is no orbit pose (it is orthographic, moves, is rolled, or "
            "does not look at the origin); expected azimuth, elevation, radius and field of view."
        )
    return track.orbit_pose
