"""View sets from the images of any source: a rig or given cameras, and the frames of the input video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from ..geometry import CameraRig, RigCameras, have_same_pose, input_camera, rig_cameras, world_offsets
from ..types import DEFAULT_FPS, Cameras
from ..view_set import ViewSet, ViewTrack, check_square
from .reference_fill import with_fill_of_views
from .view_images import ObjectImages

ReferenceUse = Literal["from the rig", "azimuth 0", "not a view"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceVideo:
    """The input video of a view set.

    Attributes:
        frames: Its frames; None if they are one of the views, or the video is not a view.
        elevation_deg: Elevation of its camera, degrees.
        use: Whether the video is the view at azimuth 0, or not a view; a rig may determine it.
        crop_offsets: [F, 2] of the crop that followed the object, see ``world_offsets``; None if it did not.
    """

    frames: ObjectImages | None = None
    elevation_deg: float = 0.0
    use: ReferenceUse = "from the rig"
    crop_offsets: Tensor | None = None

    def rig(self, rig: CameraRig) -> CameraRig:
        """Return a rig with this use of the reference."""
        return rig if self.use == "from the rig" else replace(rig, reference=self.use)


@dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """What is common to the views of a set.

    Attributes:
        fps: Frame rate of the video, frames per second.
        weight: Weight of the views in the losses; the input video has 1.
        match_fill: Whether the intrinsics of the input video are those with which the object has the same
            size as in the views. Without, the video has the field of view of the rig.
    """

    fps: float = DEFAULT_FPS
    weight: float = 1.0
    match_fill: bool = False

    def __post_init__(self) -> None:
        """Check the weight; raises ValueError with its value."""
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"views: weight {self.weight:g}; expected a finite number of at least 0.")


def views_of_rig(
    views: Sequence[ObjectImages],
    rig: CameraRig,
    reference: ReferenceVideo | None = None,
    settings: ViewSettings | None = None,
) -> ViewSet:
    """Return the set of views that a source has made with a camera rig.

    Args:
        views: Images of each camera of the rig, F each; sizes may differ.
        rig: The rig.
        reference: The input video. Where it is the view at azimuth 0 and has no frames of its own, the view
            with the same camera is the reference.
        settings: Frame rate and weight.

    Raises:
        ValueError: if numbers of views or frames do not match, or there is no view to be the reference.
    """
    reference, settings = reference or ReferenceVideo(), settings or ViewSettings()
    rig = reference.rig(rig)
    if len(views) != rig.num_images:
        raise ValueError(f"views: {len(views)} views for a rig of {rig.num_images}; expected as many.")
    tracks = [
        _rig_track(views[image], rig, view, reference.elevation_deg)
        for view, image in enumerate(rig.view_images)
    ]
    return _with_reference(tracks, rig, reference, settings)


def views_of_cameras(
    views: Sequence[ObjectImages],
    cameras: Sequence[Cameras],
    rig: CameraRig,
    reference: ReferenceVideo | None = None,
    settings: ViewSettings | None = None,
) -> ViewSet:
    """Return the set of views with given cameras.

    Args:
        views: Images of each view, F each.
        cameras: Camera of each view, or F cameras if it moves, of the size of its images.
        rig: Projection and distance of the input video's camera.
        reference: The input video; without frames, the set has no reference.
        settings: Frame rate and weight.

    Raises:
        ValueError: if numbers of views, cameras or frames do not match.
    """
    reference, settings = reference or ReferenceVideo(), settings or ViewSettings()
    rig = reference.rig(rig)
    if reference.frames is None and reference.use == "from the rig":
        rig = replace(rig, reference="not a view")
    tracks = [
        ViewTrack(images=images, alphas=alphas, cameras=camera, name=f"view {index}")
        for index, ((images, alphas), camera) in enumerate(zip(views, cameras, strict=True))
    ]
    return _with_reference(tracks, rig, reference, settings)


def check_reference(rig: CameraRig, reference: ReferenceVideo, *, has_frames: bool) -> None:
    """Raise ValueError if the input video is a view, has no frames, and is none of the views of a rig.

    Args:
        rig: The rig.
        reference: Elevation and use of the video.
        has_frames: Whether it will have frames.
    """
    rig = reference.rig(rig)
    if has_frames or rig.reference == "not a view":
        return
    size = (2, 2)  # angles are compared, pixels do not matter
    found = rig_cameras(rig, *size, reference.elevation_deg)
    front = input_camera(rig, *size, reference.elevation_deg)
    if front is None or not any(have_same_pose(viewmat, front.viewmats[0]) for viewmat in found.viewmats):
        raise ValueError(_NO_REFERENCE)


_NO_REFERENCE = (
    "reference: no frames of the input video, and none of the views has its camera, at azimuth 0; expected "
    "the frames, or the use 'not a view'."
)


def _rig_track(views: ObjectImages, rig: CameraRig, index: int, elevation_deg: float) -> ViewTrack:
    """Return one view of a rig."""
    height, width = views.images.shape[1:3]
    return _track(views, rig_cameras(rig, width, height, elevation_deg), index, f"view {index}")


def _track(views: ObjectImages, found: RigCameras, index: int, name: str) -> ViewTrack:
    """Return images of one of the cameras of a rig."""
    images, alphas = views
    pose, chosen = found.poses[index], slice(index, index + 1)
    if found.projection == "pinhole" and pose is not None:
        return ViewTrack.from_pose(images, alphas, pose, name)
    height, width = images.shape[1:3]
    cameras = Cameras(found.viewmats[chosen], found.Ks[chosen], width, height, found.projection)
    return ViewTrack(images=images, alphas=alphas, cameras=cameras, pose=pose, name=name)


def _with_reference(
    tracks: list[ViewTrack], rig: CameraRig, reference: ReferenceVideo, settings: ViewSettings
) -> ViewSet:
    """Return the set of views and, if it is a view, the input video."""
    if settings.weight != 1:
        tracks = [track.weighted(settings.weight) for track in tracks]
    if rig.reference == "not a view":
        if reference.crop_offsets is not None:
            raise ValueError(
                "offsets: the frames that they belong to are no view of the set, so their direction in the "
                "scene is unknown; expected none."
            )
        return ViewSet(tuple(tracks), None, settings.fps)
    if reference.frames is None:
        index = _index_of_reference(tracks, rig, reference.elevation_deg)
        tracks[index] = replace(tracks[index], weights=None)
        offsets = _offsets(reference, tracks[index])
        return ViewSet(tuple(tracks), index, settings.fps, offsets)
    track = _reference_track(reference.frames, rig, reference.elevation_deg)
    if settings.match_fill:
        track = with_fill_of_views(track, tracks)
    return ViewSet((track, *tracks), 0, settings.fps, _offsets(reference, track))


def _reference_track(frames: ObjectImages, rig: CameraRig, elevation_deg: float) -> ViewTrack:
    """Return the frames of the input video as a view."""
    height, width = frames.images.shape[1:3]
    found = input_camera(rig, width, height, elevation_deg)
    if found is None:
        raise ValueError("reference: the rig does not have its camera; expected the use 'azimuth 0'.")
    return _track(frames, found, 0, "input frames")


def _index_of_reference(tracks: Sequence[ViewTrack], rig: CameraRig, elevation_deg: float) -> int:
    """Return the view that has the camera of the input video; raises ValueError if there is none."""
    front = input_camera(rig, 2, 2, elevation_deg)
    for index, track in enumerate(tracks):
        if front is not None and have_same_pose(track.cameras.viewmats[0], front.viewmats[0]):
            return index
    raise ValueError(_NO_REFERENCE)


def _offsets(reference: ReferenceVideo, track: ViewTrack) -> Tensor | None:
    """Return the translations [F, 3] of the object in the scene, from those of the crop of the frames."""
    if reference.crop_offsets is None:
        return None
    check_square(track.images, "reference")
    pose = track.pose
    if pose is None:
        raise ValueError("offsets: the camera of the frames is no orbit pose; expected one for offsets.")
    return world_offsets(reference.crop_offsets, pose)
