"""A procedural toy with ground-truth views: a sample input that needs no files."""

import torch
from comfy_api.latest import io

from ..stag4d.evaluation import on_white
from ..stag4d.export import to_pil_image
from ..stag4d.toys import ANY_CHARACTER, PLAN_NAMES, toy_views
from .host.memory import require_memory
from .host.progress import HostMonitor
from .host.sockets import CATEGORY_LOAD, Views

ANY = "any"
NUM_VIEWS = 7  # the input view and six views
PREVIEW_SECONDS = 0.25  # between two previews
PIXEL_BYTES = 256  # the input view, six views and the frames on white, twice, 16 bytes each


class STAG4DSampleObject(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DSampleObject",
            display_name="STAG4D Sample Object",
            category=CATEGORY_LOAD,
            description="Generates a video of an animated toy, with six ground-truth views of every frame.",
            search_aliases=["toy", "test video", "sample data", "example 4d"],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=[ANY, *PLAN_NAMES],
                    default=ANY_CHARACTER,
                    tooltip="Kind of toy. The bundled models know the characters: fox to goldfish, or "
                    "character, which the seed chooses. any: one of the other kinds, chosen by the seed.",
                ),
                io.Int.Input(
                    "seed",
                    default=2,
                    min=0,
                    max=2**32 - 1,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Seed of proportions, colors and motion. The same seed gives the same toy.",
                ),
                io.Int.Input(
                    "num_frames",
                    default=16,
                    min=1,
                    max=256,
                    tooltip="Frames of the video. More frames give finer motion and a slightly longer fit.",
                ),
                io.Int.Input(
                    "size",
                    default=128,
                    min=32,
                    max=1024,
                    step=8,
                    tooltip="Width and height, pixels. Twice the size takes four times as long to render.",
                ),
            ],
            outputs=[
                io.Image.Output("images", tooltip="The video from the front, on white."),
                io.Mask.Output("mask", tooltip="1 on the toy."),
                Views.Output("views", tooltip="Frames and six ground-truth views, for STAG4D Optimize."),
            ],
        )

    @classmethod
    def execute(cls, name: str, seed: int, num_frames: int, size: int) -> io.NodeOutput:
        require_memory(f"{num_frames} frames of {size}x{size}", num_frames * size**2 * PIXEL_BYTES)
        plan = None if name == ANY else name
        monitor = HostMonitor(to_pil_image, preview_seconds=PREVIEW_SECONDS, render=NUM_VIEWS * num_frames)
        with torch.inference_mode(False):
            views = toy_views(seed, num_frames, size, plan=plan, monitor=monitor)
        return io.NodeOutput(on_white(views.images, views.alphas), views.alphas, views)
