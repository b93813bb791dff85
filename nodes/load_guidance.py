"""Zero123 models from folders, as guidance models under ComfyUI's memory management."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from comfy_api.latest import io

from ..stag4d.pipeline import DenoiserMaker
from .host.folders import AUTO, check_folder, chosen_dtype, folder_inputs, model_folders
from .host.models import load_to_device, shared_patcher
from .host.node_text import show_text
from .host.sockets import CATEGORY_LOAD, Guidance
from .host.validation import refusal


@dataclass(frozen=True, eq=False)
class FolderGuidance:
    """A ``host.sockets.GuidanceModel`` from a folder.

    Attributes:
        patcher: ModelPatcher of a ``stag4d.diffusion.Zero123Model``.
    """

    patcher: Any

    def denoiser_maker(self, seed: int, work_bytes: int) -> DenoiserMaker:
        """See ``host.sockets.GuidanceModel``."""
        from ..stag4d.pipeline.guidance import denoiser_maker  # diffusers takes seconds to import

        return denoiser_maker(load_to_device(self.patcher, work_bytes), seed)


class STAG4DLoadGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadGuidance",
            display_name="STAG4D Load Guidance Model",
            category=CATEGORY_LOAD,
            description="Loads a Zero123 model, bundled or from a folder in models/diffusers, as guidance "
            "model: for score distillation (SDS) of novel views in STAG4D Optimize.",
            search_aliases=["zero123", "score distillation", "sds", "novel view guidance"],
            inputs=[
                *folder_inputs("guidance"),
                io.Combo.Input(
                    "pose_conditioning",
                    options=[AUTO, "zero123", "stable-zero123"],
                    default=AUTO,
                    advanced=True,
                    optional=True,
                    tooltip="Last of the four pose numbers. zero123: difference of the radii, as in "
                    "Zero123-XL. stable-zero123: polar angle of the conditioning image. auto: from the "
                    "folder's files; else zero123 is assumed, with a message on the node.",
                ),
            ],
            outputs=[Guidance.Output("guidance", tooltip="For STAG4D Optimize.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, model: str | None = None) -> bool | str:
        return True if model is None else refusal(lambda: check_folder(model, "guidance"))

    @classmethod
    def execute(cls, model: str, dtype: str, pose_conditioning: str = AUTO) -> io.NodeOutput:
        from ..stag4d.diffusion import load_guidance_model, read_pose_conditioning  # diffusers takes seconds

        folder, weights_dtype = model_folders("guidance")[model], chosen_dtype(dtype)
        chosen: Any = None if pose_conditioning == AUTO else pose_conditioning
        conditioning, assumption = read_pose_conditioning(folder, chosen)
        key = "guidance", folder, weights_dtype, conditioning
        with torch.inference_mode(False):  # its VAE encoder is differentiated
            patcher = shared_patcher(
                key,
                lambda: load_guidance_model(folder, pose_conditioning=chosen, dtype=weights_dtype),
            )
        shown = show_text(assumption, cls.hidden.unique_id)
        return io.NodeOutput(FolderGuidance(patcher), ui=shown)
