"""A batch of ComfyUI's splats as the frames of a scene."""

import torch
from comfy_api.latest import Types, io

from ..stag4d.scene import GaussianModel4D, SceneInfo
from .host.sockets import CATEGORY_SCENE, Scene
from .host.splats import frames_from


class STAG4DFromSplat(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DFromSplat",
            display_name="STAG4D From Splat",
            category=CATEGORY_SCENE,
            description="Converts a batch of ComfyUI's splats, one per frame, to a 4D scene that can be "
            "played, rendered, exported and saved.",
            search_aliases=["splat to 4d", "gaussian splat sequence", "import splat"],
            inputs=[
                io.Splat.Input(
                    "splat",
                    tooltip="A splat per frame, in order. With the same number of Gaussians in all of them, "
                    "motion is interpolated between frames.",
                ),
                io.Float.Input(
                    "fps", default=8.0, min=0.01, max=1000.0, step=0.01, tooltip="Frames per second."
                ),
            ],
            outputs=[Scene.Output("scene", tooltip="The 4D scene.")],
        )

    @classmethod
    def execute(cls, splat: Types.SPLAT, fps: float) -> io.NodeOutput:
        with torch.inference_mode(False):  # so that another node can optimize the scene further
            frames = frames_from(splat)
            return io.NodeOutput(
                GaussianModel4D.from_frames(frames, SceneInfo(num_frames=len(frames), fps=fps))
            )
