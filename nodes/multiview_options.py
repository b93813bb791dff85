"""Latent format, noise schedule and cameras of Zero123++ for a UNet that ComfyUI's own loader has loaded."""

from __future__ import annotations

import json
import math
from typing import Any, Literal, get_args

import torch
from comfy_api.latest import io

from ..stag4d.geometry import ZERO123PLUS_RIGS
from .host.multiview_sampling import LATENT_CHANNELS, MultiViewLatents, published_sampling
from .host.sockets import CATEGORY_LOAD, Rig
from .host.validation import check_widgets, refusal

Schedule = Literal["published", "of the model"]


class STAG4DMultiViewOptions(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DMultiViewOptions",
            display_name="STAG4D Multi-View Model Options",
            category=CATEGORY_LOAD,
            description="Sets latent format, noise schedule and prediction type of Zero123++ for its UNet "
            "from Load Diffusion Model, which takes any file format and data type that ComfyUI can load, "
            "float8 too. The MODEL of STAG4D Load Multi-View Model has them already.",
            search_aliases=["zero123++ options", "multi-view schedule", "zero123++ fp8"],
            inputs=[
                io.Model.Input("model", tooltip="The UNet of Zero123++, from Load Diffusion Model."),
                io.Combo.Input(
                    "rig",
                    options=list(ZERO123PLUS_RIGS),
                    default="v1.1",
                    tooltip="Version of the model, which decides the cameras. v1.1: elevations +30 and -20 "
                    "degrees. v1.2: +20 and -10.",
                ),
                io.Combo.Input(
                    "schedule",
                    options=list(get_args(Schedule)),
                    default="published",
                    tooltip="Noise schedule and prediction type. published: betas linear from 0.00085 to "
                    "0.012, v-prediction. of the model: leave those that the MODEL has.",
                ),
                io.String.Input(
                    "ramping_coefficients",
                    default="",
                    multiline=True,
                    tooltip="Weight of the image embedding in each of the 77 text tokens: the list of that "
                    "name in model_index.json of the model. Empty: linear from 0 to 1, which only "
                    "approximates the published ones.",
                ),
            ],
            outputs=[
                io.Model.Output("model", tooltip="For STAG4D Anchored Attention."),
                Rig.Output(
                    "rig",
                    tooltip="Cameras and image formats, for STAG4D Multi-View Conditioning and STAG4D Views "
                    "from Grid.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, rig: str | None = None, schedule: str | None = None, ramping_coefficients: str | None = None
    ) -> bool | str:
        def check() -> None:
            check_widgets(cls, rig=rig, schedule=schedule)
            read_ramp(ramping_coefficients or "")

        return refusal(check)

    @classmethod
    def execute(cls, model: Any, rig: Any, schedule: Schedule, ramping_coefficients: str) -> io.NodeOutput:
        from ..stag4d.diffusion import published_rig  # diffusers takes seconds to import

        found = model.get_model_object("latent_format").latent_channels
        if found != LATENT_CHANNELS:
            raise ValueError(
                f"multi-view model: latents of {found} channels; expected {LATENT_CHANNELS}, the UNet of "
                "Zero123++."
            )
        value = published_rig(rig, read_ramp(ramping_coefficients))
        patched = model.clone()
        patched.add_object_patch("latent_format", MultiViewLatents(value.grid))
        if schedule == "published":
            patched.add_object_patch("model_sampling", published_sampling())
        return io.NodeOutput(patched, value)


def read_ramp(text: str) -> torch.Tensor | None:
    """Return ramping coefficients [K] of a list of numbers, with brackets or without; None of an empty text.

    Raises:
        ValueError: if it is no such list.
    """
    stripped = text.strip().strip("[],").strip()
    if not stripped:
        return None
    try:
        numbers = [float(number) for number in json.loads(f"[{stripped}]")]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a number is not finite")
        return torch.tensor(numbers)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"ramping_coefficients: no list of numbers ({error}); expected that of the model_index.json, or "
            "nothing."
        ) from error
