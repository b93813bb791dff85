"""From a video's frames to the few square ones that the method works on."""

import torch
from comfy_api.latest import io

from ..stag4d.data import subsampled_fps
from ..stag4d.matting import prepare_frames
from .host.memory import require_memory
from .host.progress import HostMonitor
from .host.sockets import CATEGORY

PIXEL_BYTES = 16  # color and alpha in 32-bit numbers


class STAG4DPrepareFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DPrepareFrames",
            display_name="STAG4D Prepare Frames",
            category=CATEGORY,
            description="Picks frames of a video and cuts one square around the object for all of them.",
            search_aliases=["recenter object", "crop video to mask", "square crop", "sample frames"],
            inputs=[
                io.Image.Input("images", tooltip="The video's frames, in order, showing one object."),
                io.Int.Input(
                    "num_frames",
                    default=16,
                    min=0,
                    max=1024,
                    tooltip="Frames to keep, spread evenly, first and last included. 0 keeps all.",
                ),
                io.Int.Input(
                    "size",
                    default=512,
                    min=32,
                    max=2048,
                    step=8,
                    tooltip="Width and height of the result, pixels.",
                ),
                io.Float.Input(
                    "margin",
                    default=0.1,
                    min=0.0,
                    max=0.45,
                    step=0.01,
                    tooltip="Free space on each side of the object's motion, a share of the result's side.",
                ),
                io.Boolean.Input(
                    "invert_mask",
                    default=False,
                    advanced=True,
                    tooltip="For a mask that is 0 on the object, as Load Image makes it from alpha.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="1 on the object, as Remove Background gives it, one for each frame. Without it "
                    "the images' alpha serves, or else a plain background is found.",
                ),
                io.Float.Input(
                    "fps",
                    optional=True,  # prompts from before it was there
                    default=8.0,
                    min=0.1,
                    max=1000.0,
                    step=0.1,
                    tooltip="Frames a second of the video: connect that of Get Video Components. With a "
                    "wrong one, the scene plays at the wrong speed.",
                ),
            ],
            outputs=[
                io.Image.Output("images", tooltip="The square frames, white where there is no object."),
                io.Mask.Output("mask", tooltip="1 on the object, 0 on the background, soft at the edges."),
                io.Float.Output(
                    "fps",
                    tooltip="Frames a second of those that were kept, so that they last as long as the "
                    "video: for STAG4D Anchored Multi-View or STAG4D Views from Images.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        num_frames: int,
        size: int,
        margin: float,
        invert_mask: bool,
        mask: torch.Tensor | None = None,
        fps: float = 8.0,
    ) -> io.NodeOutput:
        if mask is not None and len(mask) != len(images):
            raise ValueError(
                f"mask: {len(mask)} for {len(images)} images; expected one for each, as Remove Background "
                "gives them from the whole clip. Without a mask, alpha or a plain background serves."
            )
        alphas = 1 - mask if invert_mask and mask is not None else mask
        count = min(num_frames or len(images), len(images))
        require_memory(f"{count} frames of {size}x{size}", count * size**2 * PIXEL_BYTES)
        frames, mattes = prepare_frames(
            images,
            alphas,
            num_frames=num_frames,
            size=size,
            margin=margin,
            monitor=HostMonitor(crop=2 * count),
        )
        return io.NodeOutput(frames, mattes, subsampled_fps(fps, len(images), count))
