"""Six posed views of every frame, drawn by a multi-view model, with the grid shown while it appears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from ..stag4d.evaluation import on_white
from ..stag4d.export import to_pil_image
from ..stag4d.matting import BackgroundRemover, object_alphas
from ..stag4d.resume import CheckpointFolder
from ..stag4d.types import InputVideo
from .host.files import temp_folder
from .host.memory import require_memory
from .host.models import ManagedMultiView
from .host.progress import HostMonitor
from .host.sockets import CATEGORY, MultiView, Views

if TYPE_CHECKING:
    from ..stag4d.diffusion import ViewGrid

BORDER, REMBG, NONE = "border", "rembg", "none"
PIXEL_BYTES = 4 * 4 * 3  # a view's color and alpha, and the same twice in the outputs
PREVIEW_SIZE = 512  # pixels
PREVIEW_SECONDS = 0.5


class STAG4DAnchoredMultiView(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DAnchoredMultiView",
            display_name="STAG4D Anchored Multi-View",
            category=CATEGORY,
            description="Draws six posed views of every frame. Frames agree because they attend to one "
            "anchor frame and share their noise. Cancel keeps what was reached: the same prompt goes on.",
            search_aliases=["zero123++", "multi-view video", "novel view synthesis", "video to views"],
            inputs=[
                MultiView.Input("multiview", tooltip="From STAG4D Load Multi-View Model."),
                io.Image.Input("images", tooltip="Square frames, as STAG4D Prepare Frames makes them."),
                io.Int.Input(
                    "steps",
                    default=75,
                    min=1,
                    max=1000,
                    tooltip="Diffusion steps. 75 is STAG4D's, 28 is enough for a look; the bundled model "
                    "wants 1.",
                ),
                io.Float.Input(
                    "cfg",
                    default=4.0,
                    min=0.0,
                    max=30.0,
                    step=0.1,
                    tooltip="How closely views follow the frame; 0 ignores it. 1 takes half the time of any "
                    "other number, and is what the models that ship with this pack are made for.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**53 - 1,
                    control_after_generate=False,  # the page would draw a new one after every run
                    tooltip="Of every random draw.",
                ),
                io.Float.Input(
                    "anchor_strength",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Share of the anchor frame in the others' attention. 0: every frame for itself, "
                    "more flicker. 1: they hardly follow their own motion.",
                ),
                io.Int.Input(
                    "anchor_frame", default=0, min=0, max=100_000, tooltip="The frame that the others follow."
                ),
                io.Float.Input(
                    "input_elevation",
                    default=0.0,
                    min=-89.0,
                    max=89.0,
                    step=1.0,
                    tooltip="Degrees by which the camera of the clip looks down on the object. Poses are "
                    "wrong by what this is wrong.",
                ),
                io.Float.Input(
                    "previous_strength",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Share of the previous frame, a second anchor; with anchor_strength at most 1.",
                ),
                io.Boolean.Input(
                    "share_noise", default=True, tooltip="All frames start from the same noise: less flicker."
                ),
                io.Boolean.Input(
                    "share_reference_noise",
                    default=False,
                    tooltip="The noise on every frame's reference is the same, too.",
                ),
                io.Combo.Input(
                    "mattes",
                    options=[BORDER, REMBG, NONE],
                    default=BORDER,
                    tooltip="Of the views. border: from their plain background. rembg: needs that package, "
                    "which downloads its weights. none: whole images, to cut out by other nodes.",
                ),
                io.Float.Input(
                    "fps",
                    default=8.0,
                    min=0.1,
                    max=1000.0,
                    tooltip="Frames a second of these images: connect that of STAG4D Prepare Frames, which "
                    "knows how many were left out.",
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Mattes of the frames. Without: their plain background."
                ),
            ],
            outputs=[
                Views.Output("views", tooltip="For STAG4D Optimize."),
                io.Image.Output(
                    "grid", tooltip="One image per frame: its views in three rows of two, on white."
                ),
                io.Image.Output(
                    "view_images",
                    tooltip="Every view by itself, frame by frame, on white: for STAG4D Views from Images, "
                    "with mattes of your own.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, multiview: ManagedMultiView, images: torch.Tensor, steps: int, cfg: float, seed: int,
        anchor_strength: float, anchor_frame: int, input_elevation: float, previous_strength: float,
        share_noise: bool, share_reference_noise: bool, mattes: str, fps: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        # diffusers takes seconds to import
        from ..stag4d.diffusion import Anchor, SamplingConfig, SeededNoise
        from ..stag4d.pipeline.multiview import generate_views

        # Models loaded in inference mode could never pass gradients on.
        with torch.inference_mode(False), torch.no_grad():
            frames = images.to("cpu", torch.float32, copy=True)
            given = None if mask is None else mask.to("cpu", torch.float32, copy=True)
            alphas = object_alphas(frames, given, subject="frames")
            video = InputVideo(frames[..., :3].contiguous(), alphas, fps, input_elevation)
            anchor = Anchor(anchor_frame, anchor_strength, previous_strength)
            config = SamplingConfig(num_steps=steps, guidance_scale=cfg, anchor=anchor)
            noise = SeededNoise(seed, share_grid=share_noise, share_reference=share_reference_noise)
            _require_room(len(frames), multiview.grid)
            remover = BackgroundRemover(mattes)
            model = multiview.loaded(len(frames))
            count = len(frames)
            monitor = HostMonitor(
                _preview_image, preview_seconds=PREVIEW_SECONDS, preview_size=PREVIEW_SIZE,
                encode=count, denoise=count * steps, decode=count,
            )  # fmt: skip
            views = generate_views(
                model, video, noise, config,
                remover=remover, checkpoints=CheckpointFolder(temp_folder()), monitor=monitor,
            )  # fmt: skip
            composited = on_white(views.view_images, views.view_alphas)  # [F, V, S, S, 3]
            return io.NodeOutput(views, model.grid.image_of(composited), composited.flatten(0, 1))


def _require_room(num_frames: int, grid: ViewGrid) -> None:
    """Raise ValueError unless the views of a clip fit into memory."""
    num_views, side = num_frames * len(grid.poses), grid.tile_size
    require_memory(f"{num_views} views of {side}x{side}", num_views * side**2 * PIXEL_BYTES)


def _preview_image(image: torch.Tensor) -> Any:
    """Return a preview [h, w, 3], one pixel per latent, as an image of a size to look at."""
    small = to_pil_image(image)
    scale = max(PREVIEW_SIZE // max(small.size), 1)
    return small.resize((small.width * scale, small.height * scale))
