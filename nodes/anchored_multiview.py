"""Six posed views of every frame, drawn by a multi-view model, with the grid shown while it appears."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io

from ..stag4d.evaluation import on_white
from ..stag4d.export import to_pil_image
from ..stag4d.matting import keep_background, object_alphas, rembg_remover, remove_background
from .host.files import temp_folder
from .host.memory import require_memory
from .host.models import ManagedMultiView
from .host.sockets import CATEGORY, MultiView, Views

if TYPE_CHECKING:
    from ..stag4d.diffusion import LatentPreview, Progress, ViewGrid

BORDER, REMBG, NONE = "border", "rembg", "none"
PIXEL_BYTES = 4 * 4 * 3  # a view's color and alpha, and the same twice in the outputs
CUTTERS = {BORDER: lambda: remove_background, REMBG: rembg_remover, NONE: lambda: keep_background}
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
        from ..stag4d.diffusion import Anchor, LatentPreview, SamplingConfig, SeededNoise
        from ..stag4d.pipeline.multiview import generate_views

        with torch.inference_mode(False), torch.no_grad():
            frames = images.to("cpu", torch.float32, copy=True)
            given = None if mask is None else mask.to("cpu", torch.float32, copy=True)
            alphas = object_alphas(frames, given, subject="frames")
            anchor = Anchor(anchor_frame, anchor_strength, previous_strength)
            config = SamplingConfig(num_steps=steps, guidance_scale=cfg, anchor=anchor)
            noise = SeededNoise(seed, share_grid=share_noise, share_reference=share_reference_noise)
            _require_room(len(frames), multiview.grid)
            cut = CUTTERS[mattes]()
            model = multiview.loaded(len(frames))
            watcher = _Watcher(LatentPreview(model), len(frames), steps)
            views = generate_views(
                model, frames[..., :3].contiguous(), alphas, noise, config,
                input_elevation_deg=input_elevation, fps=fps, cut=cut, checkpoints=temp_folder(),
                on_stage=watcher.on_stage, on_step=watcher.on_step, on_batch=watcher.on_batch,
            )  # fmt: skip
            pictures = on_white(views.view_images, views.view_alphas)  # [F, V, S, S, 3]
            return io.NodeOutput(views, model.grid.picture_of(pictures), pictures.flatten(0, 1))


def _require_room(num_frames: int, grid: ViewGrid) -> None:
    """Raise ValueError unless the views of a clip fit into memory."""
    num_views, side = num_frames * len(grid.poses), grid.tile_size
    require_memory(f"{num_views} views of {side}x{side}", num_views * side**2 * PIXEL_BYTES)


class _Watcher:
    """Tells the host how far the views are and shows them; what it asks raises when the user cancels."""

    def __init__(self, preview: LatentPreview, num_frames: int, num_steps: int) -> None:
        self._preview = preview
        self._starts = {"encode": 0, "denoise": num_frames, "decode": num_frames * (1 + num_steps)}
        self._weights = {"encode": 1, "denoise": num_frames, "decode": 1}
        self._total = num_frames * (2 + num_steps)
        self._progress = comfy.utils.ProgressBar(self._total)
        self._done = num_frames
        self._num_shown = 0
        self._last_shown = -math.inf

    def on_batch(self) -> None:
        """Hear of a cancel."""
        comfy.model_management.throw_exception_if_processing_interrupted()

    def on_stage(self, stage: str, done: int, total: int) -> None:
        """Move the bar: encoding or decoding a frame counts as one diffusion step of it."""
        self.on_batch()
        self._done = self._starts[stage] + done * self._weights[stage]
        self._progress.update_absolute(self._done, self._total)

    def on_step(self, progress: Progress) -> None:
        """Show what the network expects of one frame's grid, of another frame each time."""
        if time.monotonic() - self._last_shown < PREVIEW_SECONDS:
            return
        frame = self._num_shown % len(progress.clean)
        picture = to_pil_image(self._preview(progress.clean[frame]))
        scale = max(PREVIEW_SIZE // max(picture.size), 1)
        picture = picture.resize((picture.width * scale, picture.height * scale))
        self._progress.update_absolute(self._done, self._total, ("JPEG", picture, PREVIEW_SIZE))
        self._num_shown += 1
        self._last_shown = time.monotonic()
