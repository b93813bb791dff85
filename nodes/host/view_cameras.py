"""The cameras of views from the widgets and sockets of a node: a preset rig, rig custom, or given cameras."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...stag4d.geometry import VIEW_ORDERS, CameraRig, FovAxis, ViewOrder, camera_rig, view_indices
from ...stag4d.pipeline import (
    GivenCameras,
    ObjectImages,
    ReferenceVideo,
    ViewSettings,
    preset_indices,
    views_of_given_cameras,
    views_of_rig,
)
from ...stag4d.view_set import ViewSet
from .view_widgets import CAMERAS, CUSTOM, OF_RIG, Align, CustomRig

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewCameras:
    """Values of the widgets and sockets.

    Attributes:
        rig: A preset, "custom" or "cameras".
        custom: The widgets of rig custom.
        given: The cameras of rig cameras; None for others.
        order: Order of the images; None for that of the rig.
    """

    rig: str
    custom: CustomRig
    given: GivenCameras | None = None
    order: ViewOrder | None = None

    @classmethod
    def from_inputs(
        cls,
        rig: str,
        custom: CustomRig,
        sockets: Sequence[Any],
        *,
        order: str = OF_RIG,
        align: Align = "as given",
        fov_axis: FovAxis = "vertical",
    ) -> ViewCameras:
        """Return the cameras of a node.

        Args:
            rig: Value of the widget.
            custom: The widgets of rig custom.
            sockets: camera_info, extrinsics and intrinsics, or None.
            order: Value of the widget.
            align: Value of the widget.
            fov_axis: Value of the widget.
        """
        known = next((known for known in VIEW_ORDERS if known == order), None)
        given = None
        if rig == CAMERAS:
            camera_info, extrinsics, intrinsics = sockets
            given = GivenCameras(
                camera_info=camera_info,
                extrinsics=extrinsics,
                intrinsics=intrinsics,
                fov_axis=fov_axis,
                order=known or VIEW_ORDERS[0],
                align=align == "center and scale",
            )
        return cls(rig=rig, custom=custom, given=given, order=known)

    @property
    def image_order(self) -> ViewOrder:
        """Return the order of the images."""
        if self.order is not None:
            return self.order
        return VIEW_ORDERS[0] if self.rig in (CUSTOM, CAMERAS) else camera_rig(self.rig).order

    def indices(self, num_images: int, num_frames: int | None) -> torch.Tensor:
        """Return which of N images shows which view of which frame, [F, V].

        Args:
            num_images: N.
            num_frames: F; None if it follows from the number of cameras.

        Raises:
            ValueError: if the numbers do not match.
        """
        if self.given is None and self.rig != CUSTOM:
            return preset_indices(self.rig, num_images, num_frames, self.order)[1]
        num_views: int | None = self.custom.rig().num_images if self.given is None else len(self.given)
        if self.given is not None and num_frames is not None:
            num_views = None  # there may be one camera per view, or one per image
        if num_views == num_images > 1 and self.given is not None:
            _logger.warning(
                "views: %d cameras for as many images are taken as the views of a single frame; for a video, "
                "set num_frames or connect reference.",
                num_images,
            )
        return view_indices(num_images, num_frames=num_frames, num_views=num_views, order=self.image_order)

    def view_set(
        self, views: Sequence[ObjectImages], reference: ReferenceVideo, fps: float, weight: float
    ) -> ViewSet:
        """Return the set of views.

        Args:
            views: Images of each view.
            reference: The video.
            fps: Frame rate of the video.
            weight: Weight of the views in the losses.

        Raises:
            ValueError: see ``views_of_rig`` and ``views_of_given_cameras``.
        """
        is_preset = self.given is None and self.rig != CUSTOM
        settings = ViewSettings(fps=fps, weight=weight, match_fill=is_preset)
        if self.given is not None:
            return views_of_given_cameras(views, self.given, self.custom.lens(), reference, settings)
        rig: CameraRig = camera_rig(self.rig, len(views)) if is_preset else self.custom.rig()
        return views_of_rig(views, rig, reference, settings)
