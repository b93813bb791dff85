"""The graphs of the templates that make a scene of the frames of a video model."""

from __future__ import annotations

from template_parts import (
    BACKGROUND_REMOVAL,
    FIXED,
    GET_ZERO123PLUS,
    SCENE_LINKS,
    VIEW_LINKS,
    VIEWS,
    Column,
    Links,
    Node,
    Template,
    fit,
    model_file,
    note,
)

DECODE = Node("decode", "VAEDecode")
PROMPT = "A red toy robot walks on the spot, full body, centered, plain gray background, static camera."
NEGATIVE = "camera motion, zoom, cuts, text, watermark, several objects, cropped, blurry, low quality"
ABOUT_CHAINS = """
A video model generates the video; then it is as in *02 Video to 4D scene*. Ask for **one** object,
completely visible in every frame, that moves in place, in front of a plain background, from a **static
camera**: the fit assumes one camera in front of the object. The far side of the scene is a guess.
"""


def chain(
    first: tuple[Node, ...], second: tuple[Node, ...], decode: Node, links: Links, fps: float
) -> Template:
    """Return a template that makes a scene of the images that a video model generates.

    Args:
        first: Nodes of the first column.
        second: Nodes of the second column.
        decode: The node with the video's frames in output ``IMAGE``.
        links: Links between these nodes.
        fps: Frames per second of the video.
    """
    images = f"{decode.key}.IMAGE"
    frames = Node("frames", "STAG4DPrepareFrames", {"fps": fps})
    return Template(
        (
            Column(260, first),
            Column(260, second),
            Column(260, (decode, note("What happens", ABOUT_CHAINS, 180), *BACKGROUND_REMOVAL, frames)),
            Column(320, (note("Multi-view model", GET_ZERO123PLUS, 190), *VIEWS)),
            Column(300, (Node("preview", "STAG4DPreview", height=370), *fit()[::-1])),
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
    ),
    DECODE,
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
    ),
    DECODE,
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
    ),
    DECODE,
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
    6.0,
)
