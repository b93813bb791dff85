"""Frames of a video in ComfyUI's input folder, with its alpha as a mask."""

import logging

import torch
from comfy_api.latest import io

from ..stag4d.data import check_span, frame_files, frames_between, open_frames, read_frames
from ..stag4d.matting import cut_off_warning, object_masks
from .host.files import state_hash
from .host.memory import require_memory
from .host.node_text import show_text
from .host.progress import ReadMonitor
from .host.sockets import CATEGORY_LOAD
from .host.validation import check_widgets, refusal
from .host.video_files import video_names, video_path

_logger = logging.getLogger(__name__)

PIXEL_BYTES = 20  # color and alpha, uint8, then color and mask, float32


class STAG4DLoadVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadVideo",
            display_name="STAG4D Load Video",
            category=CATEGORY_LOAD,
            description="Loads frames of a video, an animation or a folder of images as a player shows them, "
            "and its alpha as a mask. Only the chosen frames are held in memory.",
            search_aliases=["load video with alpha", "load gif", "load image sequence", "transparent video"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=video_names(),
                    upload=io.UploadType.video,
                    tooltip="A video in the input folder. A name with a slash at its end is a folder of "
                    "images. Press R to refresh the list.",
                ),
                io.Int.Input(
                    "num_frames",
                    default=16,
                    min=0,
                    max=1024,
                    tooltip="Frames to keep, evenly spaced in time, with the first and the last. 0 keeps "
                    "all.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=1e5,
                    step=0.01,
                    tooltip="Time of the first frame to use, seconds.",
                ),
                io.Float.Input(
                    "end",
                    default=0.0,
                    min=0.0,
                    max=1e5,
                    step=0.01,
                    tooltip="Frames from this time on are left out, seconds; 0 is the end of the video.",
                ),
            ],
            outputs=[
                io.Image.Output("images", tooltip="The frames. Colors are not multiplied by alpha."),
                io.Mask.Output(
                    "mask",
                    tooltip="Alpha of the frames: 1 on the object. 1 everywhere if the video has none, which "
                    "STAG4D Prepare Frames takes for no mask.",
                ),
                io.Float.Output(
                    "fps",
                    tooltip="Frames per second of the kept frames, which last as long as the video: for "
                    "STAG4D Prepare Frames.",
                ),
                io.Int.Output("num_frames", tooltip="Number of frames."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(
        cls, file: str | None = None, start: float | None = None, end: float | None = None
    ) -> bool | str:
        def check() -> None:
            check_widgets(cls, start=start, end=end)
            if start is not None and end is not None:
                check_span(start, end or None)
            if file is not None:
                video_path(file)

        return refusal(check)

    @classmethod
    def fingerprint_inputs(cls, file: str | None, num_frames: int, start: float, end: float) -> str:
        if file is None:  # linked, and not known yet
            return ""
        path = video_path(file)
        return state_hash(frame_files(path), path.parent)

    @classmethod
    def execute(cls, file: str, num_frames: int, start: float, end: float) -> io.NodeOutput:
        monitor = ReadMonitor()
        source = open_frames(video_path(file), monitor=monitor)
        between = frames_between(source.times, start, end or None)
        monitor.begin_frames()
        clip = read_frames(source, between, num_frames, check_shape=_require_room)
        count, height, width, channels = clip.frames.shape
        images = clip.frames[..., :3].float().div_(255)
        if channels == 3:
            return io.NodeOutput(images, torch.ones(count, height, width), clip.fps, count)
        mask = clip.frames[..., 3].float().div_(255)
        warning = cut_off_warning(object_masks(mask), range(count), clip.names)
        if warning is not None:
            _logger.warning("%s", warning)
        shown = show_text(warning or "", cls.hidden.unique_id)
        return io.NodeOutput(images, mask, clip.fps, count, ui=shown)


def _require_room(shape: tuple[int, ...]) -> None:
    """Raise ValueError unless frames of a shape [F, H, W, C] fit into memory."""
    count, height, width, _ = shape
    require_memory(f"{count} frames of {width}x{height}", count * height * width * PIXEL_BYTES)
