"""The cameras of a view set, for ComfyUI's 3D nodes and those of other packs."""

import torch
from comfy_api.latest import io

from ..stag4d.pipeline import set_cameras
from ..stag4d.view_set import ViewSet
from .host.camera_info import camera_info_output
from .host.sockets import CATEGORY_VIEWS, Extrinsics, Intrinsics, Views

ALL_FRAMES = -1


class STAG4DViewCameras(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DViewCameras",
            display_name="STAG4D View Cameras",
            category=CATEGORY_VIEWS,
            description="Gives the cameras of posed views: for Render Splat and other 3D nodes, or for "
            "STAG4D Views from Images after the images were changed.",
            search_aliases=["camera_info", "extrinsics", "intrinsics", "camera poses", "render at views"],
            inputs=[
                Views.Input("views", tooltip="The view set."),
                io.Boolean.Input(
                    "with_reference",
                    default=True,
                    tooltip="Include the camera of the input video.",
                ),
                io.Int.Input(
                    "frame",
                    default=0,
                    min=ALL_FRAMES,
                    max=65535,
                    advanced=True,
                    tooltip="Index of the frame whose cameras are given, which matters for cameras that "
                    "move. -1: the cameras of all frames, frame by frame.",
                ),
            ],
            outputs=[
                io.Load3DCamera.Output(
                    "camera_info",
                    tooltip="One camera per view, in the order of the views: a list, or the camera if it is "
                    "a single one.",
                ),
                Extrinsics.Output(
                    "extrinsics", tooltip="World-to-camera matrices, N x 4 x 4, in OpenCV axes."
                ),
                Intrinsics.Output("intrinsics", tooltip="Camera matrices, N x 3 x 3, in pixels."),
                io.Int.Output("count", tooltip="Number of cameras, N."),
            ],
        )

    @classmethod
    def execute(cls, views: ViewSet, with_reference: bool, frame: int) -> io.NodeOutput:
        cameras = set_cameras(views, None if frame == ALL_FRAMES else frame, with_reference=with_reference)
        extrinsics = torch.cat([one.viewmats for one in cameras]).cpu().clone()  # [N, 4, 4]
        intrinsics = torch.cat([one.Ks for one in cameras]).cpu().clone()  # [N, 3, 3]
        return io.NodeOutput(camera_info_output(cameras), extrinsics, intrinsics, len(cameras))
