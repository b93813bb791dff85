"""Selected frames of a video, cropped to a square around the object."""

from typing import Literal, get_args

import torch
from comfy_api.latest import io

from ..stag4d.data import subsampled_fps
from ..stag4d.matting import crop_video
from .host.memory import require_memory
from .host.node_text import show_text
from .host.progress import HostMonitor
from .host.sockets import CATEGORY_VIEWS, Offsets
from .host.validation import check_widgets, refusal

Crop = Literal["fixed", "follow"]
PIXEL_BYTES = 16  # color and alpha, float32


class STAG4DPrepareFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DPrepareFrames",
            display_name="STAG4D Prepare Frames",
            category=CATEGORY_VIEWS,
            description="Selects frames of a video and crops them to one square around the object's motion, "
            "or to a square that follows the object.",
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
                    tooltip="For masks that are 0 on the object, such as those of Load Image. Without a mask "
                    "the alpha of the images is inverted.",
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
                io.Int.Input(
                    "start",
                    optional=True,
                    default=0,
                    min=0,
                    max=1_000_000,
                    tooltip="Index of the first frame to use, counted from 0.",
                ),
                io.Int.Input(
                    "end",
                    optional=True,
                    default=-1,
                    min=-1,
                    max=1_000_000,
                    tooltip="Index of the last frame to use; -1 is the last one of the video.",
                ),
                io.Combo.Input(
                    "crop",
                    optional=True,
                    options=list(get_args(Crop)),
                    default="fixed",
                    tooltip="fixed: one square around the whole motion. follow: the square moves with the "
                    "object, which therefore is larger when it crosses the image; connect offsets.",
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
                Offsets.Output(
                    "offsets",
                    tooltip="How the square of crop follow moves: connect it to STAG4D Anchored Multi-View "
                    "or STAG4D Views from Images, so that the object moves in the scene as in the video.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, start: int | None = None, end: int | None = None) -> bool | str:
        def check() -> None:
            check_widgets(cls, start=start, end=end)
            if start is not None and end is not None:
                _check_order(start, end)

        return refusal(check)

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
        start: int = 0,
        end: int = -1,
        crop: Crop = "fixed",
    ) -> io.NodeOutput:
        if mask is not None and len(mask) != len(images):
            raise ValueError(
                f"mask: {len(mask)} masks for {len(images)} images; expected one per image, from Remove "
                "Background of all frames, or no mask for images with alpha or a plain background."
            )
        span = _span(start, end, len(images))
        images = images[span]
        alphas = None if mask is None else mask[span]
        if invert_mask:
            alphas = 1 - _own_alphas(images) if alphas is None else 1 - alphas
        count = min(num_frames or len(images), len(images))
        require_memory(f"{count} frames of {size}x{size}", count * size**2 * PIXEL_BYTES)
        cropped = crop_video(
            images,
            alphas,
            num_frames=num_frames,
            size=size,
            margin=margin,
            follow=crop == "follow",
            names=[f"image {index}" for index in range(span.start, span.stop)] if start else None,
            monitor=HostMonitor(crop=2 * count),
        )
        kept_fps = subsampled_fps(fps, cropped.num_candidates, len(cropped.frames))
        shown = show_text("\n".join(cropped.warnings), cls.hidden.unique_id)
        return io.NodeOutput(cropped.images, cropped.alphas, kept_fps, cropped.crop_offsets, ui=shown)


def _own_alphas(images: torch.Tensor) -> torch.Tensor:
    """Return the alpha channel [F, H, W] of images, for invert_mask without a mask."""
    if images.shape[-1] != 4:
        raise ValueError(
            "invert_mask: there is no mask, and the images have no alpha; expected one of them, or False."
        )
    return images[..., 3]


def _span(start: int, end: int, count: int) -> slice:
    """Return the frames from index ``start`` to ``end``, both included, of ``count`` frames."""
    last = count - 1 if end == -1 else end
    if not 0 <= start < count:
        raise ValueError(f"start: {start}; expected 0 to {count - 1}, the video has {count} images.")
    _check_order(start, last)
    return slice(start, min(last + 1, count))


def _check_order(start: int, end: int) -> None:
    """Raise ValueError if the last frame is before the first; -1 is the last one of the video."""
    if end != -1 and end < start:
        raise ValueError(f"end: {end}; expected {start} (start) or more, or -1 for the last image.")
