"""Reference attention and the temporal anchor for ComfyUI's samplers."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .host.anchored_model import AnchoredAttention, check_strengths
from .host.sockets import CATEGORY_VIEWS
from .host.validation import check_widgets, refusal


class STAG4DAnchoredAttention(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DAnchoredAttention",
            display_name="STAG4D Anchored Attention",
            category=CATEGORY_VIEWS,
            description="Patches the MODEL of a multi-view model: self-attention also reads each frame's "
            "reference and the anchor frame, so that the views follow the frames and do not flicker. Any "
            "sampler of ComfyUI can then generate the views of all frames. LoRA, ControlNet, quantized "
            "weights and attention patches apply before or after it.",
            search_aliases=[
                "reference attention",
                "temporal anchor",
                "zero123++ sampler",
                "stag4d model patch",
            ],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="From STAG4D Load Multi-View Model or STAG4D Multi-View Model Options.",
                ),
                io.Int.Input(
                    "anchor_frame",
                    default=0,
                    min=0,
                    max=100_000,
                    tooltip="Index of the anchor frame, whose self-attention is blended into that of all "
                    "others, from 0. Choose one that shows the object well.",
                ),
                io.Float.Input(
                    "anchor_strength",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Share of the anchor frame in the self-attention of all frames. 0: every frame "
                    "by itself, with more flicker. 1: views hardly follow the motion of their frame.",
                ),
                io.Float.Input(
                    "previous_strength",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    advanced=True,
                    tooltip="Share of the previous frame, as a second anchor. The sum with anchor_strength "
                    "is at most 1.",
                ),
                io.Boolean.Input(
                    "share_noise",
                    default=True,
                    advanced=True,
                    tooltip="Add the same noise to all frames in samplers that add noise, such as "
                    "euler_ancestral: less flicker.",
                ),
                io.Boolean.Input(
                    "share_reference_noise",
                    default=False,
                    advanced=True,
                    tooltip="Use the same noise on the references of all frames, too.",
                ),
                io.Int.Input(
                    "frames_per_call",
                    default=0,
                    min=0,
                    max=1000,
                    advanced=True,
                    tooltip="Frames per call of the UNet, which memory grows with. 0: as many as fit into "
                    "free memory.",
                ),
            ],
            outputs=[
                io.Model.Output(
                    "model",
                    tooltip="For KSampler, with the conditioning of STAG4D Multi-View Conditioning.",
                )
            ],
        )

    @classmethod
    def validate_inputs(
        cls, anchor_strength: float | None = None, previous_strength: float | None = None
    ) -> bool | str:
        def check() -> None:
            check_widgets(cls, anchor_strength=anchor_strength, previous_strength=previous_strength)
            check_strengths(anchor_strength or 0.0, previous_strength or 0.0)

        return refusal(check)

    @classmethod
    def execute(
        cls,
        model: Any,
        anchor_frame: int,
        anchor_strength: float,
        previous_strength: float,
        share_noise: bool,
        share_reference_noise: bool,
        frames_per_call: int,
    ) -> io.NodeOutput:
        from ..stag4d.diffusion import Anchor  # diffusers takes seconds to import

        anchor = Anchor(anchor_frame, anchor_strength, previous_strength)
        attention = AnchoredAttention(anchor, share_noise, share_reference_noise, frames_per_call or None)
        return io.NodeOutput(attention.patch(model))
