"""The fit of a 4D scene to posed views, with progress, previews and cancel; it can be resumed."""

import itertools
import logging
from contextlib import closing
from dataclasses import replace
from typing import Any, Literal, get_args

import comfy.model_management
import torch
from comfy_api.latest import Types, io

from ..stag4d.export import to_pil_image
from ..stag4d.geometry import resize_intrinsics
from ..stag4d.optimization import DensificationConfig, OptimizationConfig, auto_preset, preset
from ..stag4d.pipeline import fit
from ..stag4d.rendering import render
from ..stag4d.scene import GaussianModel4D, Gaussians
from ..stag4d.types import Cameras
from ..stag4d.view_set import ViewSet, with_trust
from .host.files import unfinished_calls
from .host.live_preview import LivePreview
from .host.progress import HostMonitor, check_cancel
from .host.results import shown_report
from .host.sockets import CATEGORY_SCENE, Densification, Guidance, GuidanceModel, Scene, Views
from .host.splats import gaussians_from
from .host.validation import UNCONNECTED, check_widgets, refusal

_logger = logging.getLogger(__name__)

PresetWidget = Literal["auto", "fast", "quality", "paper"]
AnchorsWidget = Literal["sectors", "nearest", "reference"]
PREVIEW_SIZE = 256  # pixels
_TWO_STARTS = "start: both a scene and a splat are connected; connect one of them."
WORK_BYTES = 2 * 1024**3  # of GPU memory to free for a fit; a generous guess


class STAG4DOptimize(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DOptimize",
            display_name="STAG4D Optimize",
            category=CATEGORY_SCENE,
            description="Optimizes a 4D Gaussian scene to match posed views. After cancel, running the "
            "workflow again resumes, and STAG4D Load Scene lists the unfinished scene.",
            search_aliases=["fit 4d scene", "train gaussian splat", "video to 4d", "4d gaussian splatting"],
            inputs=[
                Views.Input("views", lazy=True, tooltip="Frames and their posed views."),
                io.Combo.Input(
                    "preset",
                    options=list(get_args(PresetWidget)),
                    default="auto",
                    tooltip="fast: a minute or two on a CPU. quality: more Gaussians and larger images, six "
                    "times as long as fast or more; small images gain little. paper: the published "
                    "settings, needs guidance. auto: quality on an NVIDIA GPU, else fast. Without CUDA, "
                    "the fit runs on the CPU.",
                ),
                io.Int.Input(
                    "steps",
                    default=0,
                    min=0,
                    max=1_000_000,
                    tooltip="Optimization steps; 0 takes the preset's. Time grows with them.",
                ),
                io.Int.Input(
                    "size",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Width and height at which renders are compared with images, pixels, 16 or more; "
                    "0 takes the preset's. It is limited to the larger of frames and views; the smaller "
                    "ones are enlarged.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**53 - 1,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Seed of all random numbers. The same seed gives the same scene on the same "
                    "machine.",
                ),
                Guidance.Input(
                    "guidance",
                    optional=True,
                    tooltip="Guidance model, for score distillation (SDS) of novel views. Takes longer.",
                ),
                Densification.Input(
                    "densification", optional=True, tooltip="Replaces the densification of the preset."
                ),
                Scene.Input(
                    "scene",
                    optional=True,
                    tooltip="Start from the middle frame of this scene instead of the preset's "
                    "initialization.",
                ),
                io.Splat.Input(
                    "splat",
                    optional=True,
                    tooltip="Start from this splat, the first of a batch. It must coincide "
                    "with the object in the views: centered at the origin, seen from a distance of 2.",
                ),
                io.Float.Input(
                    "guidance_weight",
                    optional=True,  # older prompts lack it
                    default=0.0,
                    min=0.0,
                    max=1_000_000.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Weight of the SDS loss; 0 takes the preset's. With too large a weight, the "
                    "scene departs from the given views.",
                ),
                io.Combo.Input(
                    "guidance_anchors",
                    optional=True,
                    options=list(get_args(AnchorsWidget)),
                    default="sectors",
                    advanced=True,
                    tooltip="Conditioning image of the guidance model. sectors: the frame for novel views "
                    "within 30 degrees of azimuth of the input camera, and with a probability of 60 % for "
                    "the others, else the view nearest in azimuth, as published. nearest: the frame or "
                    "view nearest by angle. reference: the frame.",
                ),
                io.Float.Input(
                    "trust_falloff",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    advanced=True,
                    tooltip="1 minus the weight of a view from the side opposite to the input camera, in the "
                    "losses; views between weigh in proportion to the angle. 0: all views weigh the same.",
                ),
            ],
            outputs=[Scene.Output("scene", tooltip="The optimized scene.")],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(
        cls,
        preset: PresetWidget | None = None,
        size: int | None = None,
        guidance: None = UNCONNECTED,
        scene: None = UNCONNECTED,
        splat: None = UNCONNECTED,
    ) -> bool | str:
        def check() -> None:
            check_widgets(cls, preset=preset, size=size)
            _check_choices(preset, size, has_guidance=guidance is not UNCONNECTED)
            if scene is not UNCONNECTED and splat is not UNCONNECTED:
                raise ValueError(_TWO_STARTS)

        return refusal(check)

    @classmethod
    def check_lazy_status(
        cls,
        views: ViewSet | None = None,
        preset: PresetWidget | None = None,
        size: int | None = None,
        guidance: GuidanceModel | None = None,
        scene: GaussianModel4D | None = None,
        splat: Types.SPLAT | None = None,
        **others: Any,
    ) -> list[str]:
        """Have all other inputs evaluated before the views, which take minutes, so that errors come first."""
        if views is None:
            _check_choices(preset, size, has_guidance=guidance is not None)
            _start(scene, splat)
        return ["views"]

    @classmethod
    def execute(
        cls,
        views: ViewSet,
        preset: PresetWidget,
        steps: int,
        size: int,
        seed: int,
        guidance: GuidanceModel | None = None,
        densification: DensificationConfig | None = None,
        scene: GaussianModel4D | None = None,
        splat: Types.SPLAT | None = None,
        guidance_weight: float = 0.0,
        guidance_anchors: AnchorsWidget = "sectors",
        trust_falloff: float = 0.0,
    ) -> io.NodeOutput:
        # ComfyUI runs nodes in inference mode, whose tensors cannot be differentiated.
        with torch.inference_mode(False), torch.enable_grad():
            device = _device()
            config = _config(preset, steps, size, seed, densification, device)
            config = _with_guidance(config, guidance_weight, guidance_anchors)
            start = _start(scene, splat)
            if trust_falloff > 0:
                views = with_trust(views, trust_falloff)
            if device.type != "cpu":  # the fit allocates outside the host's memory management
                comfy.model_management.free_memory(WORK_BYTES, device)
            hidden = cls.hidden
            with closing(LivePreview(hidden.prompt, hidden.unique_id, hidden.extra_pnginfo)) as live:
                monitor = _monitor(views, config.steps, device, live, has_guidance=guidance is not None)
                model, report = fit(
                    views,
                    config,
                    start=start,
                    checkpoint=unfinished_calls(),
                    make_denoiser=None if guidance is None else guidance.denoiser_maker(seed, WORK_BYTES),
                    device=device,
                    monitor=monitor,
                )
            _pass_on_cancel(monitor, is_finished=report.steps == config.steps)
            return io.NodeOutput(model, ui=shown_report(report))


def _device() -> torch.device:
    """Return the device of the fit: the host's if there is a fast rasterizer for it, else the CPU."""
    device: torch.device = comfy.model_management.get_torch_device()
    return device if device.type in ("cpu", "cuda") else torch.device("cpu")


def _config(
    name: PresetWidget,
    steps: int,
    size: int,
    seed: int,
    densification: DensificationConfig | None,
    device: torch.device,
) -> OptimizationConfig:
    """Return a preset with the values of the widgets."""
    chosen = auto_preset(device) if name == "auto" else name
    config = preset(chosen, steps=steps or None, size=size or None, seed=seed)
    return config if densification is None else replace(config, densification=densification)


def _check_choices(name: PresetWidget | None, size: int | None, *, has_guidance: bool) -> None:
    """Raise ValueError if a size, or a preset without guidance, is refused; None is not known yet."""
    known = "fast" if name is None or name == "auto" else name  # auto chooses none that needs guidance
    _config(known, 0, size or 0, 0, None, torch.device("cpu")).check_guidance(has_guidance)


def _with_guidance(config: OptimizationConfig, weight: float, anchors: AnchorsWidget) -> OptimizationConfig:
    """Return a configuration with another choice of conditioning images and, unless it is 0, SDS weight."""
    guidance = replace(config.guidance, anchors=anchors, weight=weight or config.guidance.weight)
    return replace(config, guidance=guidance)


def _start(scene: GaussianModel4D | None, splat: Types.SPLAT | None) -> Gaussians | None:
    """Return the Gaussians to start from, copied: a scene's at its middle frame, or a splat's."""
    if scene is not None and splat is not None:
        raise ValueError(_TWO_STARTS)
    if splat is not None:
        return gaussians_from(splat)
    return None if scene is None else scene.start()


def _monitor(
    views: ViewSet, num_steps: int, device: torch.device, live: LivePreview, *, has_guidance: bool
) -> HostMonitor:
    """Return a monitor whose previews are renders from the given cameras; viewers get the scene, too."""
    tracks = itertools.cycle(views.tracks)
    frames = itertools.cycle(range(views.num_frames))

    def show(model: GaussianModel4D) -> Any:
        track, frame = next(tracks), next(frames)  # another camera and frame in each preview
        model = model.to(device)
        camera = _preview_camera(track.camera(frame)).to(device)
        with torch.no_grad():
            centered = model.object_centered()  # the given cameras move with the object
            image = render(centered.at(model.frame_times[[frame]])[0], camera).images[0]
        live.show(model, check_cancel)
        return to_pil_image(image)

    stages = {"guidance": 2 * views.num_frames} if has_guidance else {}
    return HostMonitor(show, preview_size=PREVIEW_SIZE, **stages, start=0, optimize=num_steps, compare=0)


def _preview_camera(camera: Cameras) -> Cameras:
    """Return a camera at the size of previews, which its longer side has."""
    longer = max(camera.width, camera.height)
    width, height = (max(round(side * PREVIEW_SIZE / longer), 1) for side in (camera.width, camera.height))
    Ks = resize_intrinsics(camera.Ks, (camera.width, camera.height), (width, height))
    return replace(camera, Ks=Ks, width=width, height=height)


def _pass_on_cancel(monitor: HostMonitor, *, is_finished: bool) -> None:
    """Pass a cancel that ended the fit on to the host.

    A cancel in the last step comes too late for this node: its scene is kept, and the next node is cancelled.
    """
    if not is_finished:
        _logger.info("STAG4D Optimize was cancelled; running the workflow again resumes from there.")
        raise comfy.model_management.InterruptProcessingException
    if monitor.is_cancelled:
        comfy.model_management.interrupt_current_processing()
