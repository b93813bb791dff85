"""The viewer on a node: the file that it plays, and the camera that the user has chosen in it."""

from typing import Any

from comfy_api.latest import io

from ..stag4d.geometry import OrbitPose, read_camera_infos, read_saved_view, stack_cameras
from ..stag4d.scene import GaussianModel4D, first_view
from ..stag4d.types import Cameras
from .host.files import TEMP_FOLDER
from .host.progress import HostMonitor
from .host.sockets import CATEGORY_OUTPUT, CameraPath, Scene
from .host.validation import refusal
from .host.viewer_files import viewer_file

View = io.Custom("STAG4D_VIEW")  # JSON text, see ``geometry.read_saved_view``
UI_KEY = "stag4d_clip"  # the .s4d file; KEYS in web/js/scene_files.mjs
UI_KEY_B = "stag4d_clip_b"  # that of scene B


class STAG4DPreview(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DPreview",
            display_name="STAG4D Preview",
            category=CATEGORY_OUTPUT,
            description="Plays a 4D scene on the node, with orbit controls and a time line. The camera and "
            "the time of the viewer are outputs, for STAG4D Render and ComfyUI's 3D nodes.",
            search_aliases=["view 4d scene", "gaussian splat viewer", "play 4d", "choose camera"],
            is_output_node=True,
            inputs=[
                Scene.Input("scene", tooltip="The scene to play."),
                io.Int.Input(
                    "width",
                    default=512,
                    min=16,
                    max=4096,
                    step=8,
                    tooltip="Image width of the cameras, pixels. The viewer has the same aspect ratio.",
                ),
                io.Int.Input(
                    "height",
                    default=512,
                    min=16,
                    max=4096,
                    step=8,
                    tooltip="Image height of the cameras, pixels.",
                ),
                View.Input(
                    "view",
                    optional=True,
                    extra_dict={"socketless": True},  # no node has such an output
                    tooltip="The viewer. Its camera and time are saved with the workflow. At first they "
                    "are the first frame and the camera of the input video or, where that does not show the "
                    "whole object at all frames, one farther away.",
                ),
                Scene.Input(
                    "scene_b",
                    optional=True,
                    tooltip="A second scene to compare with, such as one before and one after a change. B "
                    "switches between the two, W shows both with a wipe.",
                ),
                io.Load3DCamera.Input(
                    "camera_info",
                    optional=True,
                    tooltip="A camera of ComfyUI's 3D nodes, perspective or orthographic, or a list of them, "
                    "for the outputs in place of the viewer's camera.",
                ),
            ],
            outputs=[
                io.Load3DCamera.Output(
                    "camera_info", tooltip="The viewer's camera or the given ones, for ComfyUI's 3D nodes."
                ),
                CameraPath.Output(
                    "cameras", tooltip="The viewer's camera or the given ones, for STAG4D Render."
                ),
                io.Float.Output("moment", tooltip="The viewer's time, 0 to 1, for STAG4D Render."),
            ],
        )

    @classmethod
    def validate_inputs(cls, view: str | None = "") -> bool | str:
        return refusal(lambda: read_saved_view(view or "", OrbitPose(azimuth_deg=0.0)))

    @classmethod
    def execute(
        cls,
        scene: GaussianModel4D,
        width: int,
        height: int,
        view: str = "",
        scene_b: GaussianModel4D | None = None,
        camera_info: Any = None,
    ) -> io.NodeOutput:
        aspect = width / height
        chosen = read_saved_view(view, scene.info.input_pose) if view else first_view(scene, aspect)
        camera = chosen.camera_info(aspect) if camera_info is None else camera_info
        found = read_camera_infos(camera, width, height, chosen.pose.fovy_deg)
        viewmats, Ks, projection = stack_cameras(found)
        cameras = Cameras(viewmats, Ks, width, height, projection)
        files = {UI_KEY: [_viewer_file(scene)]}
        if scene_b is not None:
            files[UI_KEY_B] = [_viewer_file(scene_b)]
        return io.NodeOutput(camera, cameras, chosen.time, ui=files)


def _viewer_file(scene: GaussianModel4D) -> dict[str, str]:
    """Write a scene for the viewer; returns its file as the page requests it."""
    name = viewer_file(scene, HostMonitor(export=scene.info.num_frames))
    return {"filename": name, "subfolder": TEMP_FOLDER, "type": "temp"}
