"""A multi-view model, from a folder of the host's diffusers models or out of the package."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from .host.folders import AUTO, check_folder, chosen_dtype, folder_inputs, model_folders
from .host.models import ManagedMultiView, shared
from .host.sockets import CATEGORY, MultiView


class STAG4DLoadMultiView(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadMultiView",
            display_name="STAG4D Load Multi-View Model",
            category=CATEGORY,
            description="Opens a Zero123++ model: one that ships with this pack, or a folder as it is "
            "published, from the host's diffusers models. Mind the licence of the weights.",
            search_aliases=["zero123++", "zero123plus", "multi-view diffusion", "novel views"],
            inputs=[
                *folder_inputs("multiview"),
                io.Combo.Input(
                    "rig",
                    options=[AUTO, "v1.1", "v1.2"],
                    default=AUTO,
                    tooltip="Where the model puts its views: v1.1 elevations +30 and -20 degrees, v1.2 +20 "
                    "and -10. auto: what the folder says, or its name.",
                ),
            ],
            outputs=[MultiView.Output("multiview", tooltip="For STAG4D Anchored Multi-View.")],
        )

    @classmethod
    def validate_inputs(cls, model: str) -> bool | str:
        return check_folder(model, "multiview", "zero123plus-v1.1")

    @classmethod
    def execute(cls, model: str, dtype: str, rig: str) -> io.NodeOutput:
        from ..stag4d.diffusion import load_multiview_model  # diffusers takes seconds to import

        folder, weights = model_folders("multiview")[model], chosen_dtype(dtype)
        # Modules made in inference mode could never pass gradients on to what they look at.
        with torch.inference_mode(False):
            key = "multiview", folder, weights
            patcher = shared(key, lambda: load_multiview_model(folder, dtype=weights))
            grid = patcher.model.model.grid
            return io.NodeOutput(ManagedMultiView(patcher, grid if rig == AUTO else grid.with_rig(rig)))
