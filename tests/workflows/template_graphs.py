"""The graphs of the workflow templates: nodes in columns, values that are not the defaults, links, notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HUGGING_FACE = "https://huggingface.co/{}/resolve/main/{}"


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        key: Name in the links of the template.
        type: Node id.
        values: Widget values that differ from the defaults.
        heading: Title, if it differs from the node's.
        height: Smallest height, pixels.
        models: Files that ComfyUI offers to download: name, url and directory below its models folder.
    """

    key: str
    type: str
    values: Mapping[str, Any] = field(default_factory=dict)
    heading: str = ""
    height: int = 60
    models: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Column:
    """Nodes below each other, of one width in pixels."""

    width: int
    nodes: tuple[Node, ...]


Links = tuple[tuple[str, str], ...]  # ``node.output`` and ``node.input``


@dataclass(frozen=True)
class Template:
    """A template."""

    columns: tuple[Column, ...]
    links: Links


def note(heading: str, text: str, height: int) -> Node:
    """Return a note; text is Markdown."""
    paragraphs = (paragraph.replace("\n", " ") for paragraph in text.strip().split("\n\n"))
    return Node(heading, "MarkdownNote", {"text": "\n\n".join(paragraphs)}, heading, height)


def model_file(repository: str, path: str, directory: str) -> dict[str, str]:
    """Return what ComfyUI needs to download a file of a Hugging Face repository."""
    name = path.rsplit("/", 1)[-1]
    return {"name": name, "url": HUGGING_FACE.format(repository, path), "directory": directory}


TOY = {"name": "quadruped", "seed": 20}
BIREFNET = model_file("Comfy-Org/BiRefNet", "background_removal/birefnet.safetensors", "background_removal")
BACKGROUND_REMOVAL = (
    Node("birefnet", "LoadBackgroundRemovalModel", {"bg_removal_name": BIREFNET["name"]}, models=(BIREFNET,)),
    Node("background", "RemoveBackground"),
)
GET_ZERO123PLUS = """
**Zero123++** (3.9 GB, CC-BY-NC 4.0; the authors leave the outputs to you). In this pack's folder, with
ComfyUI's Python:

`python -m stag4d download zero123plus-v1.1 -o PATH_TO_COMFYUI/models/diffusers`

Then press **R** and choose it in **Load Multi-View Model**. Until then the bundled model is chosen: it
needs no download, but it was trained on this project's toys only and guesses poorly what a real object
looks like from behind.
"""


def fit(preset: str = "auto") -> tuple[Node, Node]:
    """Return the nodes that fit and save a scene."""
    return Node("fit", "STAG4DOptimize", {"preset": preset}), Node("save", "STAG4DSave")


def turntable(prefix: str, time_mode: str = "ping-pong") -> tuple[Node, ...]:
    """Return the nodes that render a scene along a turn and save a video."""
    return (
        Node("path", "STAG4DCameraPath", {"mode": "turntable", "mode.elevation": 10.0}),
        Node("render", "STAG4DRender", {"time_mode": time_mode}),
        Node("video", "CreateVideo"),
        Node("file", "SaveVideo", {"filename_prefix": f"video/{prefix}"}, height=320),
    )


TURNTABLE_LINKS = (
    ("path.cameras", "render.cameras"),
    ("render.images", "video.images"),
    ("render.fps", "video.fps"),
    ("video.VIDEO", "file.video"),
)
SCENE_LINKS = (("fit.scene", "save.scene"), ("fit.scene", "preview.scene"))
PREVIEW = Node("preview", "STAG4DPreview", height=620)
SMALL_PREVIEW = Node("preview", "STAG4DPreview", height=400)
VIEWS = (Node("model", "STAG4DLoadMultiView"), Node("views", "STAG4DAnchoredMultiView"))
VIEW_LINKS = (
    ("frames.images", "views.images"),
    ("frames.mask", "views.mask"),
    ("frames.fps", "views.fps"),
    ("model.multiview", "views.multiview"),
    ("views.views", "fit.views"),
)

QUICK_START = Template(
    (
        Column(
            290,
            (
                note(
                    "What happens",
                    """
A toy's video becomes a 4D scene, with the small bundled models and without any download: some minutes on
two CPU cores. **Optimize** and **Preview** show the scene while it is fitted.

The views around the toy are *generated*: from the front the scene looks like the video, the far side is a
guess.
""",
                    200,
                ),
                Node("toy", "STAG4DSampleObject", TOY),
                Node("frames", "STAG4DPrepareFrames", {"num_frames": 16, "size": 128}),
            ),
        ),
        Column(290, (*VIEWS, Node("grid", "PreviewImage", height=180))),
        Column(290, (Node("guidance", "STAG4DLoadGuidance"), *fit("fast"))),
        Column(480, (PREVIEW,)),
    ),
    (
        ("toy.images", "frames.images"),
        ("toy.mask", "frames.mask"),
        *VIEW_LINKS,
        ("views.grid", "grid.images"),
        ("guidance.guidance", "fit.guidance"),
        *SCENE_LINKS,
    ),
)
VIDEO_TO_SCENE = Template(
    (
        Column(
            300,
            (
                note(
                    "What happens",
                    """
The background is removed, a multi-view model generates six views of every frame, and a 4D scene is fitted
to all of them. The far side of the scene is the model's guess.

**Video**: one moving object, completely visible in every frame, from a static camera. If its background is
plain, or the file has alpha, you can bypass **Remove Background** and the loader of its model (Ctrl+B).
""",
                    230,
                ),
                Node("video", "STAG4DLoadVideo", height=420),
            ),
        ),
        Column(290, (*BACKGROUND_REMOVAL, Node("frames", "STAG4DPrepareFrames"))),
        Column(300, (*VIEWS, note("Multi-view model", GET_ZERO123PLUS, 250))),
        Column(440, (*fit(), SMALL_PREVIEW)),
    ),
    (
        ("video.images", "background.image"),
        ("birefnet.bg_model", "background.bg_removal_model"),
        ("video.images", "frames.images"),
        ("background.mask", "frames.mask"),
        ("video.fps", "frames.fps"),
        *VIEW_LINKS,
        *SCENE_LINKS,
    ),
)
TRUE_VIEWS = """
The views of this toy are *ground truth* instead of generated, so the scene looks right from every side:
what the fit can do with good views. A minute or two on two CPU cores.
"""
TOY_TO_VIDEO = Template(
    (
        Column(320, (note("What happens", TRUE_VIEWS, 160), Node("toy", "STAG4DSampleObject", TOY))),
        Column(320, fit()),
        Column(320, turntable("stag4d_toy")[:2]),
        Column(400, turntable("stag4d_toy")[2:]),
    ),
    (
        ("toy.views", "fit.views"),
        ("fit.scene", "save.scene"),
        ("fit.scene", "render.scene"),
        *TURNTABLE_LINKS,
    ),
)
TOY_TO_VIEWER = Template(
    (
        Column(
            290,
            (
                note(
                    "What happens",
                    TRUE_VIEWS
                    + """
Drag in the viewer to orbit, scroll to zoom, press space to play. Run the workflow again: **STAG4D Render**
renders the view and the moment that you chose, and only that is computed.
""",
                    260,
                ),
                Node("toy", "STAG4DSampleObject", TOY),
            ),
        ),
        Column(300, fit()[:1]),
        Column(480, (PREVIEW,)),
        Column(
            290,
            (
                Node("render", "STAG4DRender", {"time_mode": "freeze"}),
                Node("image", "PreviewImage", height=330),
            ),
        ),
    ),
    (
        ("toy.views", "fit.views"),
        ("fit.scene", "preview.scene"),
        ("fit.scene", "render.scene"),
        ("preview.cameras", "render.cameras"),
        ("preview.moment", "render.time_mode.moment"),
        ("render.images", "image.images"),
    ),
)
RENDER_SCENE = Template(
    (
        Column(
            300,
            (
                note(
                    "What happens",
                    """
A saved scene is rendered along a turn around the object while it moves; seconds. At first it is a scene
that comes with this pack. **file** lists the scenes of the input and output folders, too (**R** updates the
list); the first one of **STAG4D Save Scene** is `stag4d/scene_00001_.safetensors [output]`.
""",
                    210,
                ),
                Node("scene", "STAG4DLoad", {"file": "bundled/quadruped.safetensors"}),
            ),
        ),
        Column(300, turntable("stag4d", "all frames")[:2]),
        Column(340, turntable("stag4d", "all frames")[2:]),
        Column(440, (PREVIEW,)),
    ),
    (("scene.scene", "render.scene"), ("scene.scene", "preview.scene"), *TURNTABLE_LINKS),
)
SCENE_TO_SPLAT = Template(
    (
        Column(
            300,
            (
                note(
                    "What happens",
                    """
**To Splat** gives one SPLAT per frame for ComfyUI's own 3D nodes; **From Splat** makes a scene of a batch
of splats. The camera of **STAG4D Preview** is a camera of ComfyUI, and **Create Camera Info** is one for
**Camera Path**. The scene comes with this pack; seconds, and about a minute for **Render Splat** on a CPU.
""",
                    210,
                ),
                Node("scene", "STAG4DLoad", {"file": "bundled/quadruped.safetensors"}),
                Node("splat", "STAG4DToSplat"),
                Node(
                    "camera",
                    "CreateCameraInfo",
                    {"mode.yaw": 30.0, "mode.pitch": 10.0, "mode.distance": 2.0, "fov": 49.0},
                ),
            ),
        ),
        Column(380, (Node("preview", "STAG4DPreview", height=520), Node("again", "STAG4DFromSplat"))),
        Column(
            320,
            (
                Node(
                    "native",
                    "RenderSplat",
                    {"width": 256, "height": 256, "sharpen": 1.0, "background": "#ffffff"},
                ),
                Node("video", "CreateVideo", {"fps": 8.0}),
                Node("file", "SaveVideo", {"filename_prefix": "video/stag4d_splat"}, height=250),
            ),
        ),
        Column(
            360,
            (
                Node("path", "STAG4DCameraPath", {"num_cameras": 1, "mode": "camera"}),
                Node("render", "STAG4DRender", {"time_mode": "all frames"}),
                Node("images", "PreviewImage", height=230),
            ),
        ),
    ),
    (
        ("scene.scene", "splat.scene"),
        ("scene.scene", "preview.scene"),
        ("splat.splat", "native.splat"),
        ("preview.camera_info", "native.camera_info"),
        ("native.image", "video.images"),
        ("video.VIDEO", "file.video"),
        ("splat.splat", "again.splat"),
        ("again.scene", "render.scene"),
        ("camera.camera_info", "path.mode.camera"),
        ("path.cameras", "render.cameras"),
        ("render.images", "images.images"),
    ),
)

FIXED = {"control_after_generate": "fixed"}  # the next run computes nothing anew
PROMPT = "A red toy robot walks on the spot, full body, centered, plain gray background, static camera."
NEGATIVE = "camera motion, zoom, cuts, text, watermark, several objects, cropped, blurry, low quality"
ABOUT_CHAINS = """
A video model generates the video; then it is as in *02 Video to 4D scene*. Ask for **one** object,
completely visible in every frame, that moves in place, in front of a plain background, from a **static
camera**: the fit assumes one camera in front of the object. The far side of the scene is a guess.
"""


def chain(
    first: tuple[Node, ...], second: tuple[Node, ...], links: Links, images: str, fps: float
) -> Template:
    """Return a template that makes a scene of the images that a video model generates.

    Args:
        first: Nodes of the first column.
        second: Nodes of the second column.
        links: Links between them.
        images: The output with the video's frames.
        fps: Frames per second of the video.
    """
    frames = Node("frames", "STAG4DPrepareFrames", {"fps": fps})
    return Template(
        (
            Column(260, first),
            Column(260, second),
            Column(260, (note("What happens", ABOUT_CHAINS, 230), *BACKGROUND_REMOVAL, frames)),
            Column(260, (*VIEWS, note("Multi-view model", GET_ZERO123PLUS, 260))),
            Column(300, (*fit(), Node("preview", "STAG4DPreview", height=400))),
        ),
        (
            *links,
            (images, "background.image"),
            ("birefnet.bg_model", "background.bg_removal_model"),
            (images, "frames.images"),
            ("background.mask", "frames.mask"),
            *VIEW_LINKS,
            *SCENE_LINKS,
        ),
    )


WAN = "Comfy-Org/Wan_2.2_ComfyUI_Repackaged"
WAN_UNET = model_file(WAN, "split_files/diffusion_models/wan2.2_ti2v_5B_fp16.safetensors", "diffusion_models")
WAN_VAE = model_file(WAN, "split_files/vae/wan2.2_vae.safetensors", "vae")
WAN_TEXT = model_file(
    "Comfy-Org/Wan_2.1_ComfyUI_repackaged",
    "split_files/text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors",
    "text_encoders",
)
WAN_TO_SCENE = chain(
    (
        Node("image", "LoadImage", {"image": "example.png"}, height=230),
        Node("unet", "UNETLoader", {"unet_name": WAN_UNET["name"]}, models=(WAN_UNET,)),
        Node("clip", "CLIPLoader", {"clip_name": WAN_TEXT["name"], "type": "wan"}, models=(WAN_TEXT,)),
        Node("vae", "VAELoader", {"vae_name": WAN_VAE["name"]}, models=(WAN_VAE,)),
        Node("latent", "Wan22ImageToVideoLatent", {"width": 704, "height": 704, "length": 49}),
    ),
    (
        Node("shift", "ModelSamplingSD3", {"shift": 8.0}),
        Node("positive", "CLIPTextEncode", {"text": PROMPT}, "Prompt", 110),
        Node("negative", "CLIPTextEncode", {"text": NEGATIVE}, "Negative prompt", 90),
        Node(
            "sampler",
            "KSampler",
            {"seed": 1, "steps": 20, "cfg": 5.0, "sampler_name": "uni_pc", "scheduler": "simple"} | FIXED,
        ),
        Node("decode", "VAEDecode"),
    ),
    (
        ("unet.MODEL", "shift.model"),
        ("clip.CLIP", "positive.clip"),
        ("clip.CLIP", "negative.clip"),
        ("vae.VAE", "latent.vae"),
        ("image.IMAGE", "latent.start_image"),
        ("shift.MODEL", "sampler.model"),
        ("positive.CONDITIONING", "sampler.positive"),
        ("negative.CONDITIONING", "sampler.negative"),
        ("latent.LATENT", "sampler.latent_image"),
        ("sampler.LATENT", "decode.samples"),
        ("vae.VAE", "decode.vae"),
    ),
    "decode.IMAGE",
    24.0,
)
LTX_CHECKPOINT = model_file("Lightricks/LTX-Video", "ltx-video-2b-v0.9.5.safetensors", "checkpoints")
LTX_TEXT = model_file("comfyanonymous/flux_text_encoders", "t5xxl_fp16.safetensors", "text_encoders")
LTX_TO_SCENE = chain(
    (
        Node(
            "checkpoint",
            "CheckpointLoaderSimple",
            {"ckpt_name": LTX_CHECKPOINT["name"]},
            models=(LTX_CHECKPOINT,),
        ),
        Node("clip", "CLIPLoader", {"clip_name": LTX_TEXT["name"], "type": "ltxv"}, models=(LTX_TEXT,)),
        Node("positive", "CLIPTextEncode", {"text": PROMPT}, "Prompt", 110),
        Node("negative", "CLIPTextEncode", {"text": NEGATIVE}, "Negative prompt", 90),
        Node("conditioning", "LTXVConditioning", {"frame_rate": 24.0}),
    ),
    (
        Node("latent", "EmptyLTXVLatentVideo", {"width": 512, "height": 512, "length": 49}),
        Node("schedule", "LTXVScheduler", {"steps": 30}),
        Node("euler", "KSamplerSelect", {"sampler_name": "euler"}),
        Node("sampler", "SamplerCustom", {"noise_seed": 1, "cfg": 3.0} | FIXED),
        Node("decode", "VAEDecode"),
    ),
    (
        ("clip.CLIP", "positive.clip"),
        ("clip.CLIP", "negative.clip"),
        ("positive.CONDITIONING", "conditioning.positive"),
        ("negative.CONDITIONING", "conditioning.negative"),
        ("latent.LATENT", "schedule.latent"),
        ("checkpoint.MODEL", "sampler.model"),
        ("conditioning.positive", "sampler.positive"),
        ("conditioning.negative", "sampler.negative"),
        ("euler.SAMPLER", "sampler.sampler"),
        ("schedule.SIGMAS", "sampler.sigmas"),
        ("latent.LATENT", "sampler.latent_image"),
        ("sampler.output", "decode.samples"),
        ("checkpoint.VAE", "decode.vae"),
    ),
    "decode.IMAGE",
    24.0,
)
SVD_CHECKPOINT = model_file(
    "stabilityai/stable-video-diffusion-img2vid-xt", "svd_xt.safetensors", "checkpoints"
)
SVD_TO_SCENE = chain(
    (
        Node("image", "LoadImage", {"image": "example.png"}, height=230),
        Node(
            "checkpoint",
            "ImageOnlyCheckpointLoader",
            {"ckpt_name": SVD_CHECKPOINT["name"]},
            models=(SVD_CHECKPOINT,),
        ),
        Node("cfg", "VideoLinearCFGGuidance", {"min_cfg": 1.0}),
    ),
    (
        Node(
            "latent",
            "SVD_img2vid_Conditioning",
            {"width": 576, "height": 576, "video_frames": 25, "motion_bucket_id": 127, "fps": 6},
        ),
        Node(
            "sampler",
            "KSampler",
            {"seed": 1, "steps": 20, "cfg": 2.5, "sampler_name": "euler", "scheduler": "karras"} | FIXED,
        ),
        Node("decode", "VAEDecode"),
    ),
    (
        ("checkpoint.MODEL", "cfg.model"),
        ("checkpoint.CLIP_VISION", "latent.clip_vision"),
        ("checkpoint.VAE", "latent.vae"),
        ("image.IMAGE", "latent.init_image"),
        ("cfg.MODEL", "sampler.model"),
        ("latent.positive", "sampler.positive"),
        ("latent.negative", "sampler.negative"),
        ("latent.latent", "sampler.latent_image"),
        ("sampler.LATENT", "decode.samples"),
        ("checkpoint.VAE", "decode.vae"),
    ),
    "decode.IMAGE",
    6.0,
)
SEVERAL_VIDEOS = Template(
    (
        Column(
            320,
            (
                note(
                    "What happens",
                    """
ComfyUI runs the nodes behind a list once for each item: every video becomes a scene, a saved file and a
video around it. Here the videos are those of toys, with the seeds in the list. For videos of your own
connect several **Load Video** nodes of ComfyUI to **Create List**, and its list to `video` of
**STAG4D Prepare Frames**.
""",
                    230,
                ),
                *(
                    Node(f"seed{seed}", "PrimitiveInt", {"value": seed}, "Seed of a toy")
                    for seed in (20, 3, 7)
                ),
                Node("list", "CreateList"),
            ),
        ),
        Column(
            320, (Node("toy", "STAG4DSampleObject", {"name": "quadruped", "num_frames": 8}), *fit("fast"))
        ),
        Column(320, turntable("stag4d_list")[:2]),
        Column(420, turntable("stag4d_list")[2:]),
    ),
    (
        *((f"seed{seed}.INT", f"list.inputs.input{i}") for i, seed in enumerate((20, 3, 7))),
        ("list.list", "toy.seed"),
        ("toy.views", "fit.views"),
        ("fit.scene", "save.scene"),
        ("fit.scene", "render.scene"),
        *TURNTABLE_LINKS,
    ),
)
TEMPLATES = {
    "01 Quick start": QUICK_START,
    "02 Video to 4D scene": VIDEO_TO_SCENE,
    "03 Toy with ground-truth views in the viewer": TOY_TO_VIEWER,
    "04 Toy with ground-truth views to video": TOY_TO_VIDEO,
    "05 Saved scene to video": RENDER_SCENE,
    "06 4D scene and ComfyUI's splat nodes": SCENE_TO_SPLAT,
    "07 Image to 4D scene with Wan 2.2": WAN_TO_SCENE,
    "08 Text to 4D scene with LTX-Video": LTX_TO_SCENE,
    "09 Image to 4D scene with SVD": SVD_TO_SCENE,
    "10 Several videos in one run": SEVERAL_VIDEOS,
}
