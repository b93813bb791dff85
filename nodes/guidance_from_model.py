"""Stable-Zero123 as the host has loaded it, as the guidance model of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.model_base
import torch
from comfy_api.latest import io

from ..stag4d.pipeline import DenoiserMaker
from .host.native_zero123 import NativeZero123
from .host.sockets import CATEGORY, Guidance


class STAG4DGuidanceFromModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DGuidanceFromModel",
            display_name="STAG4D Guidance From Model",
            category=CATEGORY,
            description="Takes Stable-Zero123 as Image Only Checkpoint Loader gives it. It judges views of "
            "the scene that no image shows.",
            search_aliases=["stable zero123", "score distillation", "sds"],
            inputs=[
                io.Model.Input("model", tooltip="Stable-Zero123."),
                io.ClipVision.Input("clip_vision", tooltip="Of the same checkpoint."),
                io.Vae.Input("vae", tooltip="Of the same checkpoint."),
            ],
            outputs=[Guidance.Output("guidance", tooltip="For STAG4D Optimize.")],
        )

    @classmethod
    def execute(cls, model: Any, clip_vision: Any, vae: Any) -> io.NodeOutput:
        kind = type(model.model).__name__
        if not isinstance(model.model, comfy.model_base.Stable_Zero123):
            raise ValueError(
                f"guidance: the model is a {kind}; expected Stable_Zero123, as Image Only Checkpoint Loader "
                "gives it for stable_zero123."
            )
        return io.NodeOutput(NativeGuidance(model, clip_vision, _differentiable(vae)))


def _differentiable(vae: Any) -> Any:
    """Return a copy of the VAE's handle that is differentiable: the host loaded its own in inference mode."""
    try:
        with torch.inference_mode(False):
            return vae.patcher.clone(force_deepcopy=True)
    except RuntimeError as error:
        raise ValueError(
            f"guidance: the VAE cannot be loaded a second time ({error}); take it from Image Only Checkpoint "
            "Loader or Load VAE."
        ) from error


@dataclass(frozen=True, eq=False)
class NativeGuidance:
    """A guidance model that the host owns; see ``host.sockets.GuidanceModel``.

    Attributes:
        model: MODEL.
        clip_vision: CLIP_VISION.
        vae_patcher: The host's handle of the VAE.
    """

    model: Any
    clip_vision: Any
    vae_patcher: Any

    def denoiser_maker(self, seed: int, work_bytes: int) -> DenoiserMaker:
        """See ``host.sockets.GuidanceModel``."""
        from ..stag4d.pipeline.guidance import denoiser_maker  # diffusers takes seconds to import

        return denoiser_maker(NativeZero123(self.model, self.clip_vision, self.vae_patcher, work_bytes), seed)
