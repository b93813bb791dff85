"""Selected frames of a video, cropped to one square around the object."""

import torch
from comfy_api.latest import io

from ..stag4d.data import subsampled_fps
from ..stag4d.matting import prepare_frames
from .host.memory import require_memory
from .host.progress import HostMonitor
from .host.sockets import CATEGORY

PIXEL_BYTES = 16  # color and alpha, float32


class STAG4DPrepareFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DPrepareFrames",
            display_name="STAG4D Prepare Frames",
            category=CATEGORY,
            description="Selects frames of a video and crops them to one square around the object's motion.",
            search_aliases=["recenter object", "crop video to mask", "square crop", "select frames"],
            inputs=[
                io.Image.Input("images", tooltip="Frames of a video of one object, in order."),
                io.Int.Input(
                    "num_frames",
                    default=16,
                    min=0,
                    max=1024,
                    tooltip="Frames to keep, evenly spaced, with the first and the last. 0 keeps all.",
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
                    tooltip="Free space on each side of the object's motion, as a share of size.",
                ),
                io.Boolean.Input(
                    "invert_mask",
                    default=False,
                    advanced=True,
                    tooltip="For masks that are 0 on the object, such as those of Load Image.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="1 on the object, one mask per frame, for example from Remove Background. "
                    "Without it, the images need alpha or a plain background.",
                ),
                io.Float.Input(
                    "fps",
                    optional=True,  # older prompts lack it
                    default=8.0,
                    min=0.1,
                    max=1000.0,
                    step=0.1,
                    tooltip="Frames per second of the video: connect fps of Get Video Components. A wrong "
                    "value makes the scene play at the wrong speed.",
                ),
            ],
            outputs=[
                io.Image.Output("images", tooltip="The square frames, on white."),
                io.Mask.Output("mask", tooltip="Alpha of the frames: 1 on the object, 0 on the background."),
                io.Float.Output(
                    "fps",
                    tooltip="Frames per second of the kept frames, which last as long as the video: for "
                    "STAG4D Anchored Multi-View or STAG4D Views from Images.",
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
                f"mask: {len(mask)} masks for {len(images)} images; expected one per image, from Remove "
                "Background of all frames, or no mask for images with alpha or a plain background."
            )
        alphas = 1 - mask if invert_mask and mask is not None else mask
        count = min(num_frames or len(images), len(images))
        require_memory(f"{count} frames of {size}x{size}", count * size**2 * PIXEL_BYTES)
        frames, frame_alphas = prepare_frames(
            images,
            alphas,
            num_frames=num_frames,
            size=size,
            margin=margin,
            monitor=HostMonitor(crop=2 * count),
        )
        return io.NodeOutput(frames, frame_alphas, subsampled_fps(fps, len(images), count))
