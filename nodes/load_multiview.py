"""Zero123++ models, bundled or from folders, under ComfyUI's memory management."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from .host.folders import AUTO, check_folder, chosen_dtype, folder_inputs, model_folders
from .host.models import ManagedMultiView, shared_patcher
from .host.multiview_networks import load_networks
from .host.node_text import show_text
from .host.sockets import CATEGORY_LOAD, MultiView, Rig
from .host.validation import refusal


class STAG4DLoadMultiView(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadMultiView",
            display_name="STAG4D Load Multi-View Model",
            category=CATEGORY_LOAD,
            description="Loads a Zero123++ model, bundled or from a folder in models/diffusers, for STAG4D "
            "Anchored Multi-View, or as ComfyUI's own MODEL, CLIP_VISION and VAE. Only what is used takes "
            "memory. Check the license of the weights.",
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
            outputs=[
                MultiView.Output("multiview", tooltip="For STAG4D Anchored Multi-View."),
                io.Model.Output(
                    "model", tooltip="The UNet, for STAG4D Anchored Attention and ComfyUI's samplers."
                ),
                io.ClipVision.Output("clip_vision", tooltip="For STAG4D Multi-View Conditioning."),
                io.Vae.Output("vae", tooltip="For STAG4D Multi-View Conditioning and VAE Decode."),
                io.Conditioning.Output(
                    "conditioning", tooltip="The empty prompt, for STAG4D Multi-View Conditioning."
                ),
                Rig.Output(
                    "rig",
                    tooltip="Cameras and image formats, for STAG4D Multi-View Conditioning and STAG4D Views "
                    "from Grid.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, model: str | None = None) -> bool | str:
        return True if model is None else refusal(lambda: check_folder(model, "multiview"))

    @classmethod
    def execute(cls, model: str, dtype: str, rig: str) -> io.NodeOutput:
        # diffusers takes seconds to import
        from ..stag4d.diffusion import (
            empty_prompt_embeddings,
            load_multiview_model,
            read_rig,
            read_sampling,
        )

        folder, weights_dtype = model_folders("multiview")[model], chosen_dtype(dtype)
        chosen: Any = None if rig == AUTO else rig
        value = read_rig(folder, chosen)
        multiview = ManagedMultiView(
            lambda: shared_patcher(
                ("multiview", folder, weights_dtype),
                lambda: load_multiview_model(folder, rig=chosen, dtype=weights_dtype),
            ),
            value.grid,
            read_sampling(folder),
        )
        with torch.inference_mode(False):  # the VAE may be differentiated
            networks = load_networks(folder, None if dtype == AUTO else weights_dtype, value.grid)
        prompt = [[empty_prompt_embeddings(folder), {}]]
        shown = show_text(value.grid.assumption, cls.hidden.unique_id)
        return io.NodeOutput(multiview, *networks, prompt, value, ui=shown)
