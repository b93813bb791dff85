"""Posed image priors for score distillation, owned by the host's memory management."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from comfy_api.latest import io

from ..stag4d.pipeline import DenoiserMaker
from .host.folders import check_folder, chosen_dtype, folder_inputs, model_folders
from .host.models import loaded, shared
from .host.sockets import CATEGORY, Guidance


@dataclass(frozen=True, eq=False)
class FolderGuidance:
    """A prior from a folder.

    Attributes:
        patcher: The host's handle of a ``stag4d.diffusion.Zero123Model``.
    """

    patcher: Any

    def denoiser_maker(self, seed: int, work_bytes: int) -> DenoiserMaker:
        """See ``GuidanceModel``."""
        from ..stag4d.pipeline.guidance import denoiser_maker  # diffusers takes seconds to import

        return denoiser_maker(loaded(self.patcher, work_bytes), seed)


class STAG4DLoadGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadGuidance",
            display_name="STAG4D Load Guidance Model",
            category=CATEGORY,
            description="Opens a Zero123 model: one that ships with this pack, or a folder in diffusers' "
            "layout, from the host's diffusers models. It judges views of the scene that no image shows.",
            search_aliases=["zero123", "score distillation", "sds", "novel view prior"],
            inputs=folder_inputs("guidance"),
            outputs=[Guidance.Output("guidance", tooltip="For STAG4D Optimize.")],
        )

    @classmethod
    def validate_inputs(cls, model: str) -> bool | str:
        return check_folder(model, "guidance", "zero123-xl-diffusers")

    @classmethod
    def execute(cls, model: str, dtype: str) -> io.NodeOutput:
        from ..stag4d.diffusion import load_guidance_model  # diffusers takes seconds to import

        folder, weights = model_folders("guidance")[model], chosen_dtype(dtype)
        key = "guidance", folder, weights
        with torch.inference_mode(False):  # gradients pass through its encoder
            return io.NodeOutput(
                FolderGuidance(shared(key, lambda: load_guidance_model(folder, dtype=weights)))
            )
