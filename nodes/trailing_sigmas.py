"""The noise levels of the published sampler, for ComfyUI's SamplerCustom."""

from __future__ import annotations

from typing import Any

import comfy.model_sampling
import torch
from comfy_api.latest import io

from .host.sockets import CATEGORY_VIEWS


class STAG4DTrailingSigmas(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DTrailingSigmas",
            display_name="STAG4D Trailing Sigmas",
            category=CATEGORY_VIEWS,
            description="Noise levels of evenly spaced timesteps that begin with the last one: those of the "
            "published Zero123++ sampler, for SamplerCustom.",
            search_aliases=["trailing timesteps", "zero123++ scheduler", "sigmas"],
            inputs=[
                io.Model.Input("model", tooltip="A model with discrete timesteps, such as Zero123++."),
                io.Int.Input(
                    "steps",
                    default=28,
                    min=1,
                    max=1000,
                    tooltip="Diffusion steps. Published pipelines take 28 to 75.",
                ),
            ],
            outputs=[io.Sigmas.Output("sigmas", tooltip="For SamplerCustom.")],
        )

    @classmethod
    def execute(cls, model: Any, steps: int) -> io.NodeOutput:
        from ..stag4d.diffusion import trailing_timesteps  # diffusers takes seconds to import

        schedule = model.get_model_object("model_sampling")
        if not isinstance(schedule, comfy.model_sampling.ModelSamplingDiscrete):
            raise ValueError("model: its timesteps are not discrete; expected a multi-view model.")
        levels = schedule.sigmas.detach().cpu().float()
        chosen = levels[trailing_timesteps(steps, len(levels))]
        return io.NodeOutput(torch.cat([chosen, torch.zeros(1)]))
