"""Posed views from images that other nodes have made, with the cameras of a rig or given ones."""

from typing import Any

import torch
from comfy_api.latest import io

from ..stag4d.geometry import DEFAULT_FOVY_DEG, DEFAULT_RADIUS, HALF_EXTENT, VIEW_ORDERS, FovAxis, Projection
from ..stag4d.pipeline import ReferenceUse, ReferenceVideo, split_views
from ..stag4d.types import DEFAULT_FPS
from ..stag4d.view_set import check_square
from .host.lazy_inputs import not_evaluated
from .host.object_images import object_images
from .host.sockets import CATEGORY_VIEWS, Offsets, Views
from .host.validation import UNCONNECTED, check_widgets, refusal
from .host.view_cameras import ViewCameras
from .host.view_checks import check_arrangement, check_cameras
from .host.view_widgets import (
    CUSTOM,
    OF_RIG,
    Align,
    CustomRig,
    align_input,
    azimuths_input,
    camera_inputs,
    elevations_input,
    fov_axis_input,
    fovy_input,
    half_extent_input,
    input_elevation_input,
    projection_input,
    radius_input,
    reference_use_input,
    rig_input,
    weight_input,
)

NOT_GIVEN: Any = None  # default of a required input after an optional one
OF_VIEWS = ("views", "views_mask")  # inputs that come with the views


class STAG4DViewsFromImages(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DViewsFromImages",
            display_name="STAG4D Views from Images",
            category=CATEGORY_VIEWS,
            description="Combines the frames of a video with images of the same object from other cameras, "
            "made by any multi-view model or renderer.",
            search_aliases=[
                "posed views",
                "multi-view images",
                "sv4d",
                "sv3d",
                "zero123plus",
                "mv-adapter",
                "era3d",
                "wonder3d",
                "unique3d",
                "charactershot",
                "orthographic",
                "multi-camera",
            ],
            inputs=[
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="Frames of the video, from STAG4D Prepare Frames. Not needed if the video is no "
                    "view, or if one of the views is its own.",
                ),
                io.Image.Input(
                    "views",
                    lazy=True,
                    tooltip="The views of all frames, arranged as order says. They need not be square.",
                ),
                azimuths_input(),
                elevations_input(),
                fovy_input(),
                radius_input(),
                io.Float.Input(
                    "fps",
                    default=8.0,
                    min=0.1,
                    max=240.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Frames per second of reference: connect fps of STAG4D Prepare Frames, which "
                    "accounts for skipped frames.",
                ),
                input_elevation_input(),
                io.Mask.Input(
                    "reference_mask",
                    optional=True,
                    tooltip="1 on the object, one mask per frame. Without it, the images need alpha or a "
                    "plain background.",
                ),
                io.Mask.Input(
                    "views_mask",
                    optional=True,
                    lazy=True,
                    tooltip="1 on the object, one mask per view.",
                ),
                Offsets.Input(
                    "offsets",
                    optional=True,
                    tooltip="From STAG4D Prepare Frames with crop follow: the object moves in the scene as "
                    "in the video. Without it, the object stays in the center.",
                ),
                rig_input(CUSTOM, optional=True),
                io.Combo.Input(
                    "order",
                    optional=True,
                    options=[OF_RIG, *VIEW_ORDERS],
                    default=OF_RIG,
                    tooltip="Order of views. frame by frame: all views of the first frame, then all of the "
                    "second. view by view: all frames of the first view, then all of the second. from the "
                    "rig: that of the model; frame by frame for rigs custom and cameras.",
                ),
                reference_use_input(),
                projection_input(),
                half_extent_input(),
                weight_input(),
                io.Int.Input(
                    "num_frames",
                    optional=True,
                    default=0,
                    min=0,
                    max=65536,
                    advanced=True,
                    tooltip="Number of frames, where reference is not connected. 0: the number of views "
                    "divided by the cameras of the rig.",
                ),
                *camera_inputs(),
                align_input(),
                fov_axis_input(),
            ],
            outputs=[Views.Output("views", tooltip="Frames and their posed views, for STAG4D Optimize.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(
        cls,
        azimuths: str | None = None,
        elevations: str | None = None,
        reference: None = UNCONNECTED,
        input_elevation: float | None = None,
        rig: str | None = CUSTOM,  # of prompts of before
        order: str | None = OF_RIG,
        reference_use: ReferenceUse | None = OF_RIG,
        projection: Projection | None = "pinhole",
        camera_info: None = UNCONNECTED,
        extrinsics: None = UNCONNECTED,
        intrinsics: None = UNCONNECTED,
    ) -> bool | str:
        values = dict(locals())

        def check() -> None:
            check_widgets(
                cls,
                input_elevation=input_elevation,
                rig=rig,
                order=order,
                reference_use=reference_use,
                projection=projection,
            )
            check_cameras(values, has_reference=reference is not UNCONNECTED)

        return refusal(check)

    @classmethod
    def check_lazy_status(
        cls,
        azimuths: str,
        elevations: str,
        reference: torch.Tensor | None = None,
        views: Any = None,
        rig: str = CUSTOM,
        offsets: torch.Tensor | None = None,
        **others: Any,
    ) -> list[str]:
        """Have the frames and the angles checked before the views, which other nodes may have to generate."""
        if views is None:
            if rig == CUSTOM:
                CustomRig(
                    azimuths=azimuths,
                    elevations=elevations,
                    projection=others.get("projection") or "pinhole",
                ).rig()
            if reference is not None and offsets is not None:
                check_square(reference[..., :3], "reference")
        return not_evaluated(OF_VIEWS, {"views": views, **others})

    @classmethod
    def execute(
        cls,
        reference: torch.Tensor | None = None,
        views: torch.Tensor = NOT_GIVEN,
        azimuths: str = "",
        elevations: str = "",
        fovy: float = DEFAULT_FOVY_DEG,
        radius: float = DEFAULT_RADIUS,
        fps: float = DEFAULT_FPS,
        input_elevation: float = 0.0,
        reference_mask: torch.Tensor | None = None,
        views_mask: torch.Tensor | None = None,
        offsets: torch.Tensor | None = None,
        rig: str = CUSTOM,
        order: str = OF_RIG,
        reference_use: ReferenceUse = OF_RIG,
        projection: Projection = "pinhole",
        half_extent: float = HALF_EXTENT,
        weight: float = 1.0,
        num_frames: int = 0,
        camera_info: Any = None,
        extrinsics: Any = None,
        intrinsics: Any = None,
        align: Align = "as given",
        fov_axis: FovAxis = "vertical",
    ) -> io.NodeOutput:
        custom = CustomRig(
            azimuths=azimuths,
            elevations=elevations,
            fovy=fovy,
            radius=radius,
            projection=projection,
            half_extent=half_extent,
        )
        with torch.inference_mode(False):  # else no optimization could use the tensors
            cameras = ViewCameras.from_inputs(
                rig,
                custom,
                (camera_info, extrinsics, intrinsics),
                order=order,
                align=align,
                fov_axis=fov_axis,
            )
            count = (num_frames or None) if reference is None else len(reference)
            indices = cameras.indices(len(views), count)
            frames = None if reference is None else object_images("reference", reference, reference_mask)
            posed = split_views(object_images("views", views, views_mask), indices)
            video = ReferenceVideo(
                frames=frames,
                elevation_deg=input_elevation,
                use=reference_use,
                crop_offsets=None if offsets is None else offsets.clone(),
            )
            view_set = cameras.view_set(posed, video, fps, weight)
            shown = check_arrangement(view_set, cameras.image_order, cls.hidden.unique_id)
        return io.NodeOutput(view_set, ui=shown)
