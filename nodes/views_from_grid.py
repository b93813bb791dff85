"""Posed views out of the grid images that a multi-view model has generated with ComfyUI's sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import torch
from comfy_api.latest import io

from ..stag4d.evaluation import on_white
from ..stag4d.matting import BackgroundMethod, BackgroundRemover, require_rembg
from ..stag4d.view_set import check_square
from .host.lazy_inputs import not_evaluated
from .host.prepared_frames import input_video
from .host.progress import HostMonitor
from .host.sockets import CATEGORY_VIEWS, Offsets, Rig, Views
from .host.validation import check_widgets, refusal

if TYPE_CHECKING:
    from ..stag4d.diffusion import MultiViewRig


class STAG4DViewsFromGrid(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DViewsFromGrid",
            display_name="STAG4D Views from Grid",
            category=CATEGORY_VIEWS,
            description="Cuts the views of every frame out of the grid images that VAE Decode gives after "
            "ComfyUI's sampler, removes their background and adds the cameras of the rig.",
            search_aliases=["zero123++ grid to views", "split multi-view grid", "multi-view decode"],
            inputs=[
                io.Image.Input("grid", lazy=True, tooltip="One grid image per frame, from VAE Decode."),
                Rig.Input(
                    "rig",
                    tooltip="From STAG4D Load Multi-View Model or STAG4D Multi-View Model Options.",
                ),
                io.Image.Input(
                    "reference", lazy=True, tooltip="The frames that the views were generated from."
                ),
                io.Float.Input(
                    "input_elevation",
                    default=0.0,
                    min=-89.0,
                    max=89.0,
                    step=1.0,
                    tooltip="Elevation of the video's camera, degrees, positive above the object.",
                ),
                io.Combo.Input(
                    "mattes",
                    options=list(get_args(BackgroundMethod)),
                    default="border",
                    tooltip="Background removal of the views, unless grid_mask is connected. border: by "
                    "their plain background. rembg: by the package rembg, which downloads its weights. none: "
                    "leave it to other nodes.",
                ),
                io.Float.Input(
                    "fps",
                    default=8.0,
                    min=0.1,
                    max=1000.0,
                    lazy=True,
                    tooltip="Frames per second of reference: connect fps of STAG4D Prepare Frames, which "
                    "accounts for skipped frames.",
                ),
                io.Mask.Input(
                    "reference_mask",
                    optional=True,
                    lazy=True,
                    tooltip="1 on the object, one mask per frame of reference. Without it, reference needs "
                    "alpha or a plain background.",
                ),
                io.Mask.Input(
                    "grid_mask",
                    optional=True,
                    lazy=True,
                    tooltip="1 on the object, one mask per grid image, in place of mattes.",
                ),
                Offsets.Input(
                    "offsets",
                    optional=True,
                    lazy=True,
                    tooltip="From STAG4D Prepare Frames with crop follow: the object moves in the scene as "
                    "in the video. Without it, the object stays in the center.",
                ),
            ],
            outputs=[
                Views.Output("views", tooltip="Frames and their posed views, for STAG4D Optimize."),
                io.Image.Output("view_images", tooltip="One image per view, frame by frame, on white."),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, input_elevation: float | None = None, mattes: BackgroundMethod | None = None
    ) -> bool | str:
        def check() -> None:
            check_widgets(cls, input_elevation=input_elevation, mattes=mattes)
            if mattes == "rembg":
                require_rembg()

        return refusal(check)

    @classmethod
    def check_lazy_status(
        cls,
        grid: torch.Tensor | None = None,
        reference: torch.Tensor | None = None,
        **others: Any,
    ) -> list[str]:
        """Have the frames checked before the grids, which other nodes may have to generate."""
        of_reference = ("reference", "fps", "reference_mask", "offsets")
        values = {"reference": reference, **others}
        missing = not_evaluated(of_reference, values)
        if missing:
            return missing
        if reference is not None:
            check_square(reference[..., :3], "reference")
        return not_evaluated(("grid", "grid_mask"), {"grid": grid, **others})

    @classmethod
    def execute(
        cls,
        grid: torch.Tensor,
        rig: MultiViewRig,
        reference: torch.Tensor,
        input_elevation: float,
        mattes: BackgroundMethod,
        fps: float,
        reference_mask: torch.Tensor | None = None,
        grid_mask: torch.Tensor | None = None,
        offsets: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        from ..stag4d.pipeline.grid_views import views_of_grids  # diffusers takes seconds to import

        with torch.inference_mode(False), torch.no_grad():  # else no optimization could use the tensors
            video = input_video(reference, reference_mask, fps, input_elevation, offsets)
            views = views_of_grids(
                rig.grid,
                video,
                grid.to("cpu", torch.float32, copy=True)[..., :3],
                None if grid_mask is None else grid_mask.to("cpu", torch.float32, copy=True),
                remover=BackgroundRemover(mattes),
                monitor=HostMonitor(decode=len(grid)),
            )
            images = on_white(views.view_images, views.view_alphas).flatten(0, 1)  # [FV, s, s, 3]
        return io.NodeOutput(views, images)
