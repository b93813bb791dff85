"""The cameras of views from lists of cameras of other programs: one each, or one for each image."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..geometry import (
    CameraMatrices,
    CameraRig,
    FovAxis,
    ViewOrder,
    check_origin_in_front,
    enlargement,
    framing_scale,
    intrinsics,
    ortho_intrinsics,
    place_ortho_cameras,
    read_camera_infos,
    read_extrinsics,
    read_intrinsics,
    similarity_alignment,
    stack_cameras,
    view_indices,
)
from ..types import Cameras
from ..view_set import ViewSet
from ..view_track import as_floats
from .intrinsics_check import check_image_size
from .view_images import ObjectImages
from .view_sources import ReferenceVideo, ViewSettings, views_of_cameras

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenCameras:
    """Values of ComfyUI's camera sockets: ``camera_info``, or ``extrinsics``.

    Attributes:
        camera_info: LOAD3D_CAMERA value or a list of them; None where there are extrinsics.
        extrinsics: EXTRINSICS value, world-to-camera; None where there is camera_info.
        intrinsics: INTRINSICS value, pixels; None for those of camera_info, or of the rig.
        fov_axis: Side of the image that the field of view of camera_info spans.
        order: Order of the cameras where there is one for each image.
        align: Whether the cameras are of another world, see ``aligned_cameras``.
    """

    camera_info: Any = None
    extrinsics: Any = None
    intrinsics: Any = None
    fov_axis: FovAxis = "vertical"
    order: ViewOrder = "frame by frame"
    align: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError unless there is either camera_info or extrinsics."""
        check_camera_sockets(
            self.camera_info is not None, self.extrinsics is not None, self.intrinsics is not None
        )

    def __len__(self) -> int:
        """Return the number of cameras."""
        if self.camera_info is None:
            return len(read_extrinsics(self.extrinsics))
        return len(self.camera_info) if isinstance(self.camera_info, (list, tuple)) else 1

    @property
    def subject(self) -> str:
        """Return the name of the socket for error messages."""
        return "extrinsics" if self.camera_info is None else "camera_info"

    def read(self, size: tuple[int, int], rig: CameraRig) -> list[CameraMatrices]:
        """Return the cameras.

        Args:
            size: Width and height of the images, pixels.
            rig: Projection and field of view or half extent where cameras have none.

        Raises:
            ValueError: if a value is refused.
        """
        width, height = size
        if self.camera_info is not None:
            if width < height and self.fov_axis == "vertical":
                _logger.info("camera_info: the field of view of portrait images is taken as vertical.")
            cameras = read_camera_infos(self.camera_info, width, height, rig.fovy_deg, self.fov_axis)
        else:
            viewmats = read_extrinsics(self.extrinsics)
            count = len(viewmats)
            if rig.projection == "ortho":
                Ks = ortho_intrinsics([rig.half_extent] * count, width, height)
            else:
                Ks = intrinsics([rig.fovy_deg] * count, width, height)
            pairs = zip(viewmats, Ks, strict=True)
            cameras = [CameraMatrices(viewmat, K, rig.projection) for viewmat, K in pairs]
        if self.intrinsics is None:
            return cameras
        Ks = read_intrinsics(self.intrinsics, len(cameras))
        return [camera._replace(K=K) for camera, K in zip(cameras, Ks, strict=True)]


def check_camera_sockets(has_camera_info: bool, has_extrinsics: bool, has_intrinsics: bool) -> None:
    """Raise ValueError unless cameras come from camera_info or extrinsics, with intrinsics at most."""
    if has_camera_info and has_extrinsics:
        raise ValueError("camera_info: connected, and extrinsics too; expected one of them.")
    if not has_camera_info and not has_extrinsics:
        also = ", and intrinsics alone do not suffice" if has_intrinsics else ""
        raise ValueError(
            f"camera_info: not connected, nor are extrinsics{also}; expected one of them, or a rig."
        )


def views_of_given_cameras(
    views: Sequence[ObjectImages],
    given: GivenCameras,
    rig: CameraRig,
    reference: ReferenceVideo | None = None,
    settings: ViewSettings | None = None,
) -> ViewSet:
    """Return the set of views with the cameras of sockets.

    Args:
        views: Images of each view, F each; sizes may differ.
        given: The cameras: one per view, or one per image.
        rig: Projection and field of view where cameras have none, and of the input video's camera.
        reference: See ``views_of_cameras``.
        settings: Frame rate and weight.

    Raises:
        ValueError: if numbers of views, cameras or frames do not match, a camera is refused, or intrinsics
            are those of images of another size.
    """
    cameras = []
    of_size: dict[tuple[int, int], list[Cameras]] = {}  # the cameras of all views, for images of a size
    for index, (images, _) in enumerate(views):
        size = images.shape[2], images.shape[1]
        if size not in of_size:
            read = given.read(size, rig)
            of_size[size] = cameras_of_views(read, size, len(images), len(views), given.order, given.subject)
        cameras.append(of_size[size][index])
    if given.align:
        cameras = aligned_cameras(cameras, views[0])
    cameras = [
        replace(camera, viewmats=place_ortho_cameras(camera.viewmats))
        if camera.projection == "ortho"
        else camera
        for camera in cameras
    ]
    check_around_origin(cameras)
    if given.intrinsics is not None:
        check_image_size(cameras)
    return views_of_cameras(views, cameras, rig, reference, settings)


def cameras_of_views(
    given: Sequence[CameraMatrices],
    size: tuple[int, int],
    num_frames: int,
    num_views: int,
    order: ViewOrder = "frame by frame",
    subject: str = "camera_info",
) -> list[Cameras]:
    """Return the camera of each view, or its F cameras if there is one for each image.

    Args:
        given: V or F V cameras.
        size: Width and height of the images, pixels.
        num_frames: F.
        num_views: V.
        order: Order of F V cameras.
        subject: Name of the cameras for error messages.

    Raises:
        ValueError: if the number of cameras is another one, or those of a view have different projections.
    """
    count = len(given)
    if count == num_views:
        members = [[index] for index in range(count)]
    elif count == num_views * num_frames:
        indices = view_indices(count, num_frames=num_frames, num_views=num_views, order=order)
        members = indices.T.tolist()
    else:
        each = f" of {num_frames} frames" if num_frames > 1 else ""
        or_each = f", or {num_views * num_frames}, one per image" if num_frames > 1 else ""
        raise ValueError(
            f"{subject}: {count} cameras for {num_views} views{each}; expected {num_views}{or_each}."
        )
    stacked = [stack_cameras([given[index] for index in of_view]) for of_view in members]
    return [Cameras(viewmats, Ks, *size, projection) for viewmats, Ks, projection in stacked]


def aligned_cameras(cameras: Sequence[Cameras], first: ObjectImages) -> list[Cameras]:
    """Return cameras of another world in ours: around the origin, the first at azimuth 0.

    The image of the first camera spans the half extent of our framing; an object that takes little of it is
    enlarged, see ``enlargement``.

    Args:
        cameras: Camera of each view, or its F cameras.
        first: Images of the first view.

    Raises:
        ValueError: if the optical axes are parallel, so that the center of the object is unknown.
    """
    viewmats = torch.cat([camera.viewmats for camera in cameras])
    front = cameras[0]
    map_ = similarity_alignment(viewmats, scale=1.0)
    distance = (front.centers[0].double().cpu() - map_.center).norm().item()
    scale = framing_scale(front.Ks[0], front.width, front.height, front.projection, distance)
    map_ = replace(map_, scale=scale * enlargement(as_floats(first.alphas), front.Ks[0]))
    aligned = []
    for camera in cameras:
        moved = map_.viewmats(camera.viewmats)
        aligned.append(replace(camera, viewmats=moved, Ks=map_.intrinsics(camera.Ks, camera.projection)))
    return aligned


def check_around_origin(cameras: Sequence[Cameras]) -> None:
    """Raise ValueError if the origin, where the object is, is behind a pinhole camera."""
    for index, camera in enumerate(cameras):
        names = [f"camera of view {index}"] * len(camera)
        check_origin_in_front(camera.viewmats, camera.projection, names)
