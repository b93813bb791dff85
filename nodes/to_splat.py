"""A scene as ComfyUI's splats, one per time."""

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..stag4d.scene import GaussianModel4D
from .host.sockets import CATEGORY_OUTPUT, MOMENT, Scene
from .host.splats import splat_at
from .host.validation import check_widgets, refusal


class STAG4DToSplat(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DToSplat",
            display_name="STAG4D To Splat",
            category=CATEGORY_OUTPUT,
            description="Converts a 4D scene to ComfyUI's splats, one per time, for Render Splat, Transform "
            "Splat, Merge Splat and the 3D file nodes.",
            search_aliases=["4d to splat", "native gaussian splat"],
            inputs=[
                Scene.Input("scene", tooltip="The scene to convert."),
                io.DynamicCombo.Input(
                    "times",
                    options=[
                        io.DynamicCombo.Option("all frames", []),
                        io.DynamicCombo.Option("moment", [MOMENT]),
                    ],
                    tooltip="all frames: a batch with one splat per frame. moment: a single splat, for nodes "
                    "that write a file, which use only the first of a batch.",
                ),
            ],
            outputs=[io.Splat.Output("splat", tooltip="A batch of splats, ordered by time.")],
        )

    @classmethod
    def validate_inputs(
        cls,
        scene: None = None,  # the host needs an input that is always there
        times: Mapping[str, Any] | None = None,
    ) -> bool | str:
        return refusal(lambda: check_widgets(cls, times=times))

    @classmethod
    def execute(cls, scene: GaussianModel4D, times: Mapping[str, Any]) -> io.NodeOutput:
        chosen = scene.frame_times
        if times["times"] == "moment":
            chosen = chosen.new_tensor([times["moment"]])
        return io.NodeOutput(splat_at(scene, chosen))
