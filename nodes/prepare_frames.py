"""Selected frames of a video, cropped to a square around the object."""

from collections.abc import Sequence
from typing import Literal, cast, get_args

import torch
from comfy_api.latest import Input, io

from ..stag4d.data import subsampled_fps
from ..stag4d.matting import CroppedVideo, crop_video
from .host.frame_selection import CropFrames, FrameSelection, check_order
from .host.memory import require_memory
from .host.node_text import show_text
from .host.progress import HostMonitor
from .host.sockets import CATEGORY_VIEWS, Offsets
from .host.validation import UNCONNECTED, check_widgets, refusal
from .host.video_input import decoded_video, has_file

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
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="Frames of a video of one object, in order. Connect images or video.",
                ),
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
                    tooltip="Frames per second of images: connect fps of Get Video Components. A wrong value "
                    "makes the scene play at the wrong speed. Not used with video, which has its own.",
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
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="A video of one object in place of images, from Load Video or Trim Video. Its "
                    "alpha is used, and only the kept frames are held in memory. start and end are indices "
                    "of its frames.",
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
    def validate_inputs(
        cls,
        images: None = UNCONNECTED,
        video: None = UNCONNECTED,
        num_frames: int | None = None,  # the host needs an input that is always there
        start: int | None = None,
        end: int | None = None,
    ) -> bool | str:
        def check() -> None:
            _check_source(images is not UNCONNECTED, video is not UNCONNECTED)
            check_widgets(cls, num_frames=num_frames, start=start, end=end)
            if start is not None and end is not None:
                check_order(start, end)

        return refusal(check)

    @classmethod
    def execute(
        cls,
        images: torch.Tensor | None = None,
        num_frames: int = 16,
        size: int = 512,
        margin: float = 0.1,
        invert_mask: bool = False,
        mask: torch.Tensor | None = None,
        fps: float = 8.0,
        start: int = 0,
        end: int = -1,
        crop: Crop = "fixed",
        video: Input.Video | None = None,
    ) -> io.NodeOutput:
        _check_source(images is not None, video is not None)
        selection = FrameSelection(
            start=start, end=end, num_frames=num_frames, masks=mask, invert=invert_mask
        )

        crop_frames = _square_crop(num_frames, size, margin, follow=crop == "follow")
        cropped, fps = _cropped(selection, images, video, fps, crop_frames)
        kept_fps = subsampled_fps(fps, cropped.num_candidates, len(cropped.frames))
        shown = show_text("\n".join(cropped.warnings), cls.hidden.unique_id)
        return io.NodeOutput(cropped.images, cropped.alphas, kept_fps, cropped.crop_offsets, ui=shown)


def _square_crop(num_frames: int, size: int, margin: float, *, follow: bool) -> CropFrames:
    """Return a function that crops frames with ``crop_video``, with progress, if they fit into memory."""

    def crop(frames: torch.Tensor, alphas: torch.Tensor | None, names: Sequence[str] | None) -> CroppedVideo:
        count = min(num_frames or len(frames), len(frames))
        require_memory(f"{count} frames of {size}x{size}", count * size**2 * PIXEL_BYTES)
        return crop_video(
            frames,
            alphas,
            num_frames=num_frames,
            size=size,
            margin=margin,
            follow=follow,
            names=names,
            monitor=HostMonitor(crop=2 * count),
        )

    return crop


def _cropped(
    selection: FrameSelection,
    images: torch.Tensor | None,
    video: Input.Video | None,
    fps: float,
    crop: CropFrames,
) -> tuple[CroppedVideo, float]:
    """Return the cropped frames of a video, else of images, and the frame rate of the source."""
    if video is None:
        return selection.crop_images(cast(torch.Tensor, images), crop), fps
    if has_file(video):
        return selection.crop_file(video, crop)
    decoded, fps = decoded_video(video)
    return selection.crop_images(decoded, crop), fps


def _check_source(has_images: bool, has_video: bool) -> None:
    """Raise ValueError unless exactly one of images and video is connected."""
    if has_images and has_video:
        raise ValueError("images: connected, and video too; expected one of them. Disconnect the other.")
    if not has_images and not has_video:
        raise ValueError(
            "images: not connected, nor is video; expected one of them. Connect images, or video of Load "
            "Video."
        )
