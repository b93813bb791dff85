"""Posed views from videos, one per camera, as video models write them."""

from collections.abc import Mapping
from typing import Any

import torch
from comfy_api.latest import Input, io

from ..stag4d.geometry import DEFAULT_FOVY_DEG, DEFAULT_RADIUS, HALF_EXTENT, FovAxis, Projection
from ..stag4d.pipeline import ReferenceUse, ReferenceVideo
from .host.sockets import CATEGORY_VIEWS, Views
from .host.validation import UNCONNECTED, check_widgets
from .host.view_cameras import ViewCameras
from .host.view_checks import SOCKETS, check_arrangement, check_cameras
from .host.view_videos import check_reference_sockets, check_video_count, read_videos
from .host.view_widgets import (
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

MAX_VIDEOS = 32
DEFAULT_RIG = "sv4d2"
REFERENCES = ("reference", "reference_images")
DEFAULTS = {  # of values that a prompt may lack
    "rig": DEFAULT_RIG,
    "reference_use": OF_RIG,
    "projection": "pinhole",
    "input_elevation": None,
    "azimuths": None,
    "elevations": None,
    **dict.fromkeys(SOCKETS, UNCONNECTED),
}


class STAG4DViewsFromVideos(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DViewsFromVideos",
            display_name="STAG4D Views from Videos",
            category=CATEGORY_VIEWS,
            description="Combines videos of one object from several cameras, such as those of SV4D 2.0 or of "
            "a multi-camera capture, one video per view.",
            search_aliases=[
                "sv4d 2.0",
                "4danyone",
                "multi-camera",
                "multi-view videos",
                "n3dv",
                "dna-rendering",
            ],
            inputs=[
                io.Autogrow.Input(
                    "views",
                    template=io.Autogrow.TemplatePrefix(
                        io.Video.Input("view"), prefix="view", min=1, max=MAX_VIDEOS
                    ),
                    tooltip="One video per view, in the order of the rig's cameras. Their alpha is used; "
                    "their sizes may differ. All are cut to the shortest.",
                ),
                io.Video.Input(
                    "reference",
                    optional=True,
                    tooltip="The video that the views show from other sides, as the model has cropped it: "
                    "process_input.mp4 of SV4D 2.0. Connect reference or reference_images, or none if the "
                    "video is no view.",
                ),
                io.Image.Input(
                    "reference_images",
                    optional=True,
                    tooltip="Frames of that video in place of reference, from STAG4D Prepare Frames.",
                ),
                io.Mask.Input(
                    "reference_mask",
                    optional=True,
                    tooltip="1 on the object, one mask per frame of reference. Without it, the frames need "
                    "alpha or a plain background.",
                ),
                io.Autogrow.Input(
                    "masks",
                    template=io.Autogrow.TemplatePrefix(
                        io.Mask.Input("mask", optional=True), prefix="mask", min=0, max=MAX_VIDEOS
                    ),
                    tooltip="Masks of the video with the same number, 1 on the object. Without them, a video "
                    "needs alpha or a plain background.",
                ),
                rig_input(DEFAULT_RIG, optional=False),
                azimuths_input(),
                elevations_input(),
                fovy_input(),
                radius_input(),
                input_elevation_input(),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Frames per second of all videos. 0: that of their files, which must be the "
                    "same. Set it for models that write another rate than that of their input.",
                ),
                reference_use_input(),
                projection_input(),
                half_extent_input(),
                weight_input(),
                *camera_inputs(),
                align_input(),
                fov_axis_input(),
            ],
            outputs=[Views.Output("views", tooltip="Frames and their posed views, for STAG4D Optimize.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, views: Mapping[str, Any] | None = None, **values: Any) -> bool:
        """Raise ValueError for an invalid value; the host passes the videos to such a signature only."""
        known = {**DEFAULTS, **values}
        check_widgets(cls, **{name: value for name, value in values.items() if name != "masks"})
        images = [known.get(name, UNCONNECTED) is not UNCONNECTED for name in REFERENCES]
        check_reference_sockets(*images)
        rig = check_cameras(known, has_reference=any(images))
        if rig is not None and views:
            check_video_count(len(views), rig, str(known["rig"]))
        return True

    @classmethod
    def execute(
        cls,
        views: Mapping[str, Input.Video],
        reference: Input.Video | None = None,
        reference_images: torch.Tensor | None = None,
        reference_mask: torch.Tensor | None = None,
        masks: Mapping[str, torch.Tensor] | None = None,
        rig: str = DEFAULT_RIG,
        azimuths: str = "",
        elevations: str = "",
        fovy: float = DEFAULT_FOVY_DEG,
        radius: float = DEFAULT_RADIUS,
        input_elevation: float = 0.0,
        fps: float = 0.0,
        reference_use: ReferenceUse = OF_RIG,
        projection: Projection = "pinhole",
        half_extent: float = HALF_EXTENT,
        weight: float = 1.0,
        camera_info: Any = None,
        extrinsics: Any = None,
        intrinsics: Any = None,
        align: Align = "as given",
        fov_axis: FovAxis = "vertical",
    ) -> io.NodeOutput:
        check_reference_sockets(reference is not None, reference_images is not None)
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
                order="view by view",
                align=align,
                fov_axis=fov_axis,
            )
            source = reference_images if reference is None else reference
            read = read_videos(views, masks or {}, (source, reference_mask), fps)
            video = ReferenceVideo(frames=read.reference, elevation_deg=input_elevation, use=reference_use)
            view_set = cameras.view_set(read.views, video, read.fps, weight)
            shown = check_arrangement(view_set, None, cls.hidden.unique_id)
        return io.NodeOutput(view_set, ui=shown)
