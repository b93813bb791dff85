"""The fit of a 4D scene to posed views, with the host's progress, previews and cancel; it can be resumed."""

import itertools
import logging
from contextlib import closing
from dataclasses import replace
from typing import Any

import comfy.model_management
import torch
from comfy_api.latest import Types, io

from ..stag4d.export import to_pil_image
from ..stag4d.optimization import DensificationConfig, OptimizationConfig, auto_preset, preset
from ..stag4d.pipeline import fit
from ..stag4d.rendering import render
from ..stag4d.resume import CheckpointFolder
from ..stag4d.scene import GaussianModel4D, Gaussians
from ..stag4d.types import Cameras, ViewSet
from .host.files import temp_folder
from .host.live_preview import LivePreview
from .host.progress import HostMonitor, check_cancel
from .host.sockets import CATEGORY, Densification, Guidance, GuidanceModel, Scene, Views
from .host.splats import gaussians_from

_logger = logging.getLogger(__name__)

AUTO = "auto"
PREVIEW_SIZE = 256  # pixels
ROOM = 2 * 1024**3  # bytes to have free on a GPU before a fit; chosen generously, not measured


class STAG4DOptimize(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DOptimize",
            display_name="STAG4D Optimize",
            category=CATEGORY,
            description="Fits a 4D Gaussian scene to posed views. Cancel keeps what was reached: the same "
            "prompt goes on from there, and STAG4D Load Scene lists the unfinished scene.",
            search_aliases=["fit 4d scene", "train gaussian splat", "video to 4d"],
            inputs=[
                Views.Input("views", tooltip="The clip and the views around it."),
                io.Combo.Input(
                    "preset",
                    options=[AUTO, "fast", "quality", "paper"],
                    default=AUTO,
                    tooltip="fast: a minute or two on a processor. quality: six times as long, and more "
                    "with its larger pictures; more Gaussians; small pictures gain little. paper: the "
                    "published numbers, needs guidance. auto: quality on an NVIDIA GPU with gsplat, else "
                    "fast. With a GPU that is not CUDA's, the processor fits.",
                ),
                io.Int.Input(
                    "steps",
                    default=0,
                    min=0,
                    max=1_000_000,
                    tooltip="Optimisation steps; 0 takes the preset's. Time grows with them.",
                ),
                io.Int.Input(
                    "size",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Pixels along each side of what is compared, 16 or more; 0 takes the preset's. "
                    "It is at most that of the images or of the views, whichever are larger; the others "
                    "are enlarged.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**53 - 1,
                    control_after_generate=False,  # the page would draw a new one after every run
                    tooltip="Of every random draw. The same seed gives the same scene on the same machine.",
                ),
                Guidance.Input(
                    "guidance",
                    optional=True,
                    tooltip="A posed image prior that judges views which no picture shows.",
                ),
                Densification.Input(
                    "densification", optional=True, tooltip="Instead of the preset's densification."
                ),
                Scene.Input(
                    "scene",
                    optional=True,
                    tooltip="Start from this scene's middle moment instead of the views' visual hull.",
                ),
                io.Splat.Input(
                    "splat",
                    optional=True,
                    tooltip="Start from this splat instead, the first of a batch. It must stand where the "
                    "views show the object.",
                ),
                io.Float.Input(
                    "guidance_weight",
                    optional=True,  # prompts from before it was there
                    default=0.0,
                    min=0.0,
                    max=1_000_000.0,
                    step=0.01,
                    tooltip="Weight of what the guidance says; 0 takes the preset's. Too much and the scene "
                    "leaves the given views.",
                ),
                io.Combo.Input(
                    "guidance_anchors",
                    optional=True,
                    options=["sectors", "nearest", "reference"],
                    default="sectors",
                    tooltip="What the guidance is told of. sectors: the frame, or the view in the same "
                    "sector of azimuth, as published. nearest: the image nearest by angle. "
                    "reference: the frame.",
                ),
            ],
            outputs=[Scene.Output("scene", tooltip="The fitted scene.")],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def execute(
        cls,
        views: ViewSet,
        preset: str,
        steps: int,
        size: int,
        seed: int,
        guidance: GuidanceModel | None = None,
        densification: DensificationConfig | None = None,
        scene: GaussianModel4D | None = None,
        splat: Types.SPLAT | None = None,
        guidance_weight: float = 0.0,
        guidance_anchors: str = "sectors",
    ) -> io.NodeOutput:
        # Nodes run in inference mode, whose tensors no gradient can pass.
        with torch.inference_mode(False), torch.enable_grad():
            device = _device()
            config = _config(preset, steps, size, seed, densification, device)
            sds = replace(config.guidance, anchors=guidance_anchors)
            config = replace(config, guidance=replace(sds, weight=guidance_weight or sds.weight))
            start = _start(scene, splat)
            if device.type != "cpu":
                comfy.model_management.free_memory(ROOM, device)
            hidden = cls.hidden
            with closing(LivePreview(hidden.prompt, hidden.unique_id, hidden.extra_pnginfo)) as live:
                model, report = fit(
                    views,
                    config,
                    start=start,
                    checkpoint=CheckpointFolder(temp_folder()),
                    make_denoiser=None if guidance is None else guidance.denoiser_maker(config.seed, ROOM),
                    device=device,
                    monitor=_monitor(views, config.steps, device, live, has_guidance=guidance is not None),
                )
            if report.steps < config.steps:
                _logger.info("STAG4D Optimize was cancelled; the same prompt resumes from there.")
                raise comfy.model_management.InterruptProcessingException
            return io.NodeOutput(model)


def _device() -> torch.device:
    """Return where to fit: where the host works, if that is a device that a fast rasterizer is for."""
    device = comfy.model_management.get_torch_device()
    return device if device.type in ("cpu", "cuda") else torch.device("cpu")


def _config(
    name: str,
    steps: int,
    size: int,
    seed: int,
    densification: DensificationConfig | None,
    device: torch.device,
) -> OptimizationConfig:
    """Return the preset with the widgets' numbers."""
    if name == AUTO:
        name = auto_preset(device)
    config = preset(name, steps=steps or None, size=size or None, seed=seed)
    return config if densification is None else replace(config, densification=densification)


def _start(scene: GaussianModel4D | None, splat: Any) -> Gaussians | None:
    """Return the Gaussians to start from, copied: a scene's at its middle frame, or a splat's."""
    if scene is not None and splat is not None:
        raise ValueError("start: both a scene and a splat are connected; connect one of them.")
    if splat is not None:
        return gaussians_from(splat)
    if scene is None:
        return None
    middle = scene.frame_times[[scene.info.num_frames // 2]]
    with torch.no_grad():
        return scene.at(middle)[0].map(lambda value: value.cpu().clone())


def _monitor(
    views: ViewSet, num_steps: int, device: torch.device, live: LivePreview, *, has_guidance: bool
) -> HostMonitor:
    """Return a monitor whose previews are renders from the given cameras, also sent to the viewers."""
    poses = itertools.cycle((views.input_pose, *views.view_poses))
    frames = itertools.cycle(range(views.num_frames))

    def show(model: GaussianModel4D) -> Any:
        pose, frame = next(poses), next(frames)  # another camera and frame each time
        model = model.to(device)
        camera = Cameras.from_poses([pose], PREVIEW_SIZE, PREVIEW_SIZE).to(device)
        with torch.no_grad():
            image = render(model.at(model.frame_times[[frame]])[0], camera).images[0]
        live.show(model, check_cancel)
        return to_pil_image(image)

    stages = {"guidance": 2 * views.num_frames} if has_guidance else {}
    return HostMonitor(show, preview_size=PREVIEW_SIZE, **stages, optimize=num_steps)
