"""Zero123++ models, bundled or from folders, under ComfyUI's memory management."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from .host.folders import AUTO, check_folder, chosen_dtype, folder_inputs, model_folders
from .host.models import ManagedMultiView, shared_patcher
from .host.node_text import show_text
from .host.sockets import CATEGORY_LOAD, MultiView
from .host.validation import refusal


class STAG4DLoadMultiView(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadMultiView",
            display_name="STAG4D Load Multi-View Model",
            category=CATEGORY_LOAD,
            description="Loads a Zero123++ model, bundled or from a folder in models/diffusers, for STAG4D "
            "Anchored Multi-View. Check the license of the weights.",
            search_aliases=["zero123++", "zero123plus", "multi-view diffusion", "novel views"],
            inputs=[
                *folder_inputs("multiview"),
                io.Combo.Input(
                    "rig",
                    options=[AUTO, "v1.1", "v1.2"],
                    default=AUTO,
                    advanced=True,
                    tooltip="Cameras of the six views. v1.1: elevations +30 and -20 degrees. v1.2: +20 and "
                    "-10. auto: from the folder's files; else v1.1 is assumed, with a message on the node.",
                ),
            ],
            outputs=[MultiView.Output("multiview", tooltip="For STAG4D Anchored Multi-View.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, model: str | None = None) -> bool | str:
        return True if model is None else refusal(lambda: check_folder(model, "multiview"))

    @classmethod
    def execute(cls, model: str, dtype: str, rig: str) -> io.NodeOutput:
        from ..stag4d.diffusion import load_multiview_model, read_grid  # diffusers takes seconds to import

        folder, weights_dtype = model_folders("multiview")[model], chosen_dtype(dtype)
        chosen: Any = None if rig == AUTO else rig
        key = "multiview", folder, weights_dtype
        with torch.inference_mode(False):  # its weights are used outside of inference mode
            patcher = shared_patcher(
                key, lambda: load_multiview_model(folder, rig=chosen, dtype=weights_dtype)
            )
        grid = read_grid(folder, chosen)
        shown = show_text(grid.assumption, cls.hidden.unique_id)
        return io.NodeOutput(ManagedMultiView(patcher, grid), ui=shown)
