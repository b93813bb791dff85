"""The graphs of the templates in which ComfyUI's own sampler generates the views."""

from __future__ import annotations

from template_parts import (
    CHARACTER,
    FIXED,
    SCENE_LINKS,
    Column,
    Links,
    Node,
    Template,
    fit,
    model_file,
    note,
)

ABOUT = """
The multi-view model is ComfyUI's own MODEL, CLIP_VISION and VAE here, and **KSampler** generates the views of
all frames, so that LoRA loaders, ControlNets, other samplers and patches of other packs fit between
**Load** and **KSampler**. **Anchored Attention** makes the views follow the frames without flicker.

With the bundled model: 1 step, cfg 1. With Zero123++ (see *02 Video to 4D scene*): 28 steps, cfg 4.
"""
MODEL = Node("model", "STAG4DLoadMultiView")
CONDITIONING = Node("conditioning", "STAG4DMultiViewConditioning")
ANCHOR = Node("anchor", "STAG4DAnchoredAttention")
DECODE, VIEWS = Node("decode", "VAEDecode"), Node("views", "STAG4DViewsFromGrid")
SMALL_PREVIEW = Node("preview", "STAG4DPreview", height=400)


def sampler(steps: int, cfg: float) -> Node:
    """Return the sampler with the published kind of sampling."""
    kind = {"sampler_name": "euler_ancestral", "scheduler": "sgm_uniform"}
    return Node("sampler", "KSampler", {"seed": 0, "steps": steps, "cfg": cfg} | kind | FIXED)


LINKS: Links = (
    ("toy.images", "frames.images"),
    ("toy.mask", "frames.mask"),
    ("model.clip_vision", "conditioning.clip_vision"),
    ("model.vae", "conditioning.vae"),
    ("model.conditioning", "conditioning.conditioning"),
    ("model.rig", "conditioning.rig"),
    ("frames.images", "conditioning.images"),
    ("frames.mask", "conditioning.mask"),
    ("model.model", "anchor.model"),
    ("anchor.model", "sampler.model"),
    ("conditioning.latent", "sampler.latent_image"),
    ("sampler.LATENT", "decode.samples"),
    ("model.vae", "decode.vae"),
    ("decode.IMAGE", "views.grid"),
    ("model.rig", "views.rig"),
    ("frames.images", "views.reference"),
    ("frames.mask", "views.reference_mask"),
    ("frames.fps", "views.fps"),
    ("views.views", "fit.views"),
    *SCENE_LINKS,
)
DIRECT_LINKS: Links = (
    ("conditioning.positive", "sampler.positive"),
    ("conditioning.negative", "sampler.negative"),
)
NATIVE_MULTIVIEW = Template(
    (
        Column(
            290,
            (
                note("What happens", ABOUT, 270),
                Node("toy", "STAG4DSampleObject", CHARACTER),
            ),
        ),
        Column(
            270,
            (Node("frames", "STAG4DPrepareFrames", {"num_frames": 16, "size": 128}), MODEL, CONDITIONING),
        ),
        Column(270, (ANCHOR, sampler(1, 1.0))),
        Column(270, (DECODE, VIEWS, *fit("fast")[::-1])),
        Column(300, (SMALL_PREVIEW,)),
    ),
    (*LINKS, *DIRECT_LINKS),
)
ABOUT_DEPTH = """
As *16 Views with KSampler*, and a **ControlNet** of depth fixes the shape of the generated views: one hint
for each frame, a grid of the depths of its six views in three rows of two, near is bright.

Here the hint is an image that you load; it is used for all frames. For a moving object, load one grid per
frame as a batch, such as depths that **STAG4D Render** gives for the cameras of a first scene.

The bundled model takes no ControlNet: choose Zero123++ in **Load Multi-View Model**.
"""
DEPTH_CONTROL = model_file(
    "sudo-ai/controlnet-zp11-depth-v1", "diffusion_pytorch_model.safetensors", "controlnet"
)
NATIVE_DEPTH = Template(
    (
        Column(
            290,
            (
                note("What happens", ABOUT_DEPTH, 330),
                Node("toy", "STAG4DSampleObject", CHARACTER),
            ),
        ),
        Column(
            270,
            (Node("frames", "STAG4DPrepareFrames", {"num_frames": 16, "size": 512}), MODEL, CONDITIONING),
        ),
        Column(
            270,
            (
                Node("depth", "LoadImage", {"image": "example.png"}, height=230),
                Node(
                    "control",
                    "ControlNetLoader",
                    {"control_net_name": DEPTH_CONTROL["name"]},
                    models=(DEPTH_CONTROL,),
                ),
                Node("hint", "ControlNetApplyAdvanced"),
            ),
        ),
        Column(270, (ANCHOR, sampler(28, 4.0))),
        Column(270, (DECODE, VIEWS, *fit()[::-1])),
    ),
    (
        *LINKS[:-1],
        ("conditioning.positive", "hint.positive"),
        ("conditioning.negative", "hint.negative"),
        ("control.CONTROL_NET", "hint.control_net"),
        ("depth.IMAGE", "hint.image"),
        ("model.vae", "hint.vae"),
        ("hint.positive", "sampler.positive"),
        ("hint.negative", "sampler.negative"),
    ),
)
