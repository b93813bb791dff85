"""Stable-Zero123, loaded by ComfyUI's own nodes, as the guidance model of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.model_base
import torch
from comfy_api.latest import io

from ..stag4d.pipeline import DenoiserMaker
from .host.native_zero123 import NUM_POSE_NUMBERS, NativeZero123
from .host.sockets import CATEGORY_LOAD, Guidance


class STAG4DGuidanceFromModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DGuidanceFromModel",
            display_name="STAG4D Guidance From Model",
            category=CATEGORY_LOAD,
            description="Makes a guidance model of Stable-Zero123 from Image Only Checkpoint Loader, for "
            "score distillation (SDS) of novel views in STAG4D Optimize. LoRA files and patches of the MODEL "
            "apply.",
            search_aliases=["stable zero123", "score distillation", "sds", "native guidance model"],
            inputs=[
                io.Model.Input("model", tooltip="Stable-Zero123."),
                io.ClipVision.Input("clip_vision", tooltip="CLIP vision of the same checkpoint."),
                io.Vae.Input("vae", tooltip="VAE of the same checkpoint."),
            ],
            outputs=[Guidance.Output("guidance", tooltip="For STAG4D Optimize.")],
        )

    @classmethod
    def execute(cls, model: Any, clip_vision: Any, vae: Any) -> io.NodeOutput:
        _check_networks(model, clip_vision, vae)
        return io.NodeOutput(NativeGuidance(model, clip_vision, _held(vae.patcher)))


def _check_networks(model: Any, clip_vision: Any, vae: Any) -> None:
    """Raise ValueError unless types and sizes of the networks are those of Stable-Zero123."""
    if not isinstance(model.model, comfy.model_base.Stable_Zero123):
        raise ValueError(
            f"guidance: the model is a {type(model.model).__name__}; expected Stable_Zero123, from Image "
            "Only Checkpoint Loader with stable_zero123."
        )
    projection = clip_vision.get_sd().get("visual_projection.weight")
    size = 0 if projection is None else len(projection)
    expected = model.model.cc_projection.weight.shape[1] - NUM_POSE_NUMBERS
    if size != expected:
        raise ValueError(
            f"guidance: clip_vision has embeddings of size {size}; expected {expected}, from the checkpoint "
            "of the model."
        )
    if not hasattr(vae.patcher.model, "quant_conv"):
        raise ValueError(
            f"guidance: the VAE is a {type(vae.patcher.model).__name__}; expected that of the checkpoint "
            "of the model."
        )


def _held(patcher: Any) -> Any:
    """Return a VAE's ModelPatcher, or a copy where the host may move weights between forward and backward."""
    if not patcher.is_dynamic():
        return patcher
    try:
        with torch.inference_mode(False):
            return patcher.clone(disable_dynamic=True, force_deepcopy=True)
    except RuntimeError as error:
        raise ValueError(
            f"guidance: the VAE cannot be loaded a second time ({error}); connect that of Image Only "
            "Checkpoint Loader or Load VAE."
        ) from error


@dataclass(frozen=True, eq=False)
class NativeGuidance:
    """A ``host.sockets.GuidanceModel`` of the host's networks.

    Attributes:
        model: MODEL.
        clip_vision: CLIP_VISION.
        vae_patcher: ModelPatcher of a VAE whose weights stay in place between two loads.
    """

    model: Any
    clip_vision: Any
    vae_patcher: Any

    def denoiser_maker(self, seed: int, work_bytes: int) -> DenoiserMaker:
        """See ``host.sockets.GuidanceModel``."""
        from ..stag4d.pipeline.guidance import denoiser_maker  # diffusers takes seconds to import

        return denoiser_maker(NativeZero123(self.model, self.clip_vision, self.vae_patcher, work_bytes), seed)
