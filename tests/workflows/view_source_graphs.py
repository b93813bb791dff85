"""The graphs of the templates that fit views from other models and programs, or start from a splat."""

from __future__ import annotations

from dataclasses import replace

from template_parts import (
    BACKGROUND_REMOVAL,
    FIXED,
    SCENE_LINKS,
    TOY,
    Column,
    Node,
    Template,
    fit,
    model_file,
    note,
)

SV3D = model_file("stabilityai/sv3d", "sv3d_p.safetensors", "checkpoints")
SV3D_TO_SCENE = Template(
    (
        Column(
            250,
            (
                note(
                    "What happens",
                    """
Stable Video 3D makes 20 views around the object for every frame, with ComfyUI's own nodes.
**Rebatch Images** gives it one frame at a time, and the second one joins the views of all frames (up to
195). A 4D scene is fitted to them.

Frames are generated independently with the same seed, so the far side may flicker. For a video from above
or below, give its elevation to both `elevation` and `input_elevation`. To download the checkpoint, accept
its license on its page first. Tested with small random models, not with the published weights.
""",
                    230,
                ),
                Node("video", "STAG4DLoadVideo", height=360),
            ),
        ),
        Column(
            220,
            (
                replace(BACKGROUND_REMOVAL[0], heading="Background model"),
                BACKGROUND_REMOVAL[1],
                Node("frames", "STAG4DPrepareFrames", {"num_frames": 12, "size": 576}),
            ),
        ),
        Column(
            230,
            (
                Node(
                    "checkpoint",
                    "ImageOnlyCheckpointLoader",
                    {"ckpt_name": SV3D["name"]},
                    "SV3D checkpoint",
                    models=(SV3D,),
                ),
                Node("cfg", "VideoTriangleCFGGuidance", {"min_cfg": 1.0}, "Triangle guidance"),
                Node("single", "RebatchImages", {"batch_size": 1}, "One frame at a time"),
                Node("latent", "SV3D_Conditioning"),
            ),
        ),
        Column(
            230,
            (
                Node(
                    "sampler",
                    "KSampler",
                    {"seed": 1, "steps": 20, "cfg": 2.5, "sampler_name": "euler", "scheduler": "karras"}
                    | FIXED,
                ),
                Node("decode", "VAEDecode"),
                Node("all", "RebatchImages", {"batch_size": 4096}, "Views of all frames"),
            ),
        ),
        Column(230, (Node("views", "STAG4DViewsFromImages", {"rig": "sv3d-core"}), fit()[1])),
        Column(220, (Node("preview", "STAG4DPreview", height=400), fit()[0])),
    ),
    (
        ("video.images", "background.image"),
        ("birefnet.bg_model", "background.bg_removal_model"),
        ("video.images", "frames.images"),
        ("background.mask", "frames.mask"),
        ("video.fps", "frames.fps"),
        ("frames.images", "single.images"),
        ("checkpoint.CLIP_VISION", "latent.clip_vision"),
        ("single.IMAGE", "latent.init_image"),
        ("checkpoint.VAE", "latent.vae"),
        ("checkpoint.MODEL", "cfg.model"),
        ("cfg.MODEL", "sampler.model"),
        ("latent.positive", "sampler.positive"),
        ("latent.negative", "sampler.negative"),
        ("latent.latent", "sampler.latent_image"),
        ("sampler.LATENT", "decode.samples"),
        ("checkpoint.VAE", "decode.vae"),
        ("decode.IMAGE", "all.images"),
        ("frames.images", "views.reference"),
        ("frames.mask", "views.reference_mask"),
        ("frames.fps", "views.fps"),
        ("all.IMAGE", "views.views"),
        ("views.views", "fit.views"),
        *SCENE_LINKS,
    ),
)
SV4D_VIDEOS = [
    Node(
        f"view{number}",
        "LoadVideo",
        {"file": f"000000_v00{number}.mp4"},
        f"View {number}: {60 * number} degrees",
        220,
    )
    for number in (1, 2, 3, 4)
]
SV4D_TO_SCENE = Template(
    (
        Column(
            280,
            (
                note(
                    "What happens",
                    """
A 4D scene is fitted to the four videos of **SV4D 2.0**, whose code writes them into one folder; seen from
60, 120, 180 and 240 degrees. `000000_process_input.mp4` is the input video as the model has cropped it: use
it, not the original.

SV4D 2.0 writes 10 frames per second whatever its input has: set `fps` of **Views from Videos** (advanced)
to that of your video. For its model of eight views, choose rig *sv4d2-8* and add four loaders. For videos of
other models, choose their rig, or *custom* with angles. Tested with toys in place of the model's videos.
""",
                    250,
                ),
                Node(
                    "reference",
                    "LoadVideo",
                    {"file": "000000_process_input.mp4"},
                    "Input video, cropped",
                    280,
                ),
            ),
        ),
        Column(210, tuple(SV4D_VIDEOS[:2])),
        Column(210, tuple(SV4D_VIDEOS[2:])),
        Column(290, (Node("views", "STAG4DViewsFromVideos", height=590), fit()[1])),
        Column(400, (Node("preview", "STAG4DPreview", height=400), fit()[0])),
    ),
    (
        ("reference.VIDEO", "views.reference"),
        *((f"view{number}.VIDEO", f"views.views.view{number - 1}") for number in (1, 2, 3, 4)),
        ("views.views", "fit.views"),
        *SCENE_LINKS,
    ),
)
ORTHO_TO_SCENE = Template(
    (
        Column(
            340,
            (
                note(
                    "What happens",
                    """
A 4D scene is fitted to *orthographic* views: those of **MV-Adapter** (its weights are Apache-2.0), which
makes a sheet of six views of one frame, side by side. Run it for every frame of your video, on its gray
background, and put the numbered sheets into a folder of ComfyUI's input folder.

MV-Adapter turns the object to its own front, so the video is no view here, and guidance is not possible.
For Era3D choose that rig; for models that write 3 rows of 2 images, change **Split Grid**. The direction
in which a level orthographic ring turns cannot be checked by silhouettes: look at the scene.

The cameras were measured on published sheets; this graph was tested with sheets of toys.
""",
                    250,
                ),
                Node("sheets", "STAG4DLoadVideo", heading="Sheets: a folder of images", height=340),
            ),
        ),
        Column(280, (Node("grid", "STAG4DSplitGrid", {"rows": 1, "columns": 6}),)),
        Column(330, (Node("views", "STAG4DViewsFromImages", {"rig": "mv-adapter"}), fit()[1])),
        Column(440, (Node("preview", "STAG4DPreview", height=400), fit()[0])),
    ),
    (
        ("sheets.images", "grid.images"),
        ("sheets.fps", "views.fps"),
        ("grid.images", "views.views"),
        ("views.views", "fit.views"),
        *SCENE_LINKS,
    ),
)
REPAIR = Template(
    (
        Column(
            290,
            (
                note(
                    "What happens",
                    """
A scene is rendered from cameras behind the object, all frames from each. An image or video model repairs
the renders, and the scene is fitted again to its first views and the repaired ones.

At first it is a bundled scene of a toy, and **Sharpen Image** is where the repair goes. For a scene of yours,
load it, and in place of **Sample Object** use the node that made its views, or **Load Views**.
""",
                    200,
                ),
                Node("scene", "STAG4DLoad", {"file": "bundled/quadruped.safetensors"}, "Scene to repair"),
                Node("toy", "STAG4DSampleObject", TOY, "Views of the first fit"),
            ),
        ),
        Column(
            270,
            (
                Node(
                    "path",
                    "STAG4DCameraPath",
                    {
                        "width": 256,
                        "height": 256,
                        "num_cameras": 3,
                        "mode": "orbit",
                        "mode.azimuth_start": 120.0,
                        "mode.azimuth_end": 240.0,
                        "mode.elevation_start": 15.0,
                        "mode.elevation_end": 15.0,
                    },
                    "Cameras to repair",
                ),
                Node("render", "STAG4DRender", {"time_mode": "view by view"}),
                note(
                    "The repair",
                    """
Replace **Sharpen Image** by nodes that repair the renders, such as an image edit model or image to image with
low denoise; they must keep size and order. A video model takes one camera at a time. If outlines change,
take the mask from **Remove Background**.
""",
                    150,
                ),
            ),
        ),
        Column(
            260,
            (
                Node("edit", "ImageSharpen", heading="Repair: replace me"),
                Node("repaired", "STAG4DViewsFromImages", {"rig": "cameras", "order": "view by view"}),
            ),
        ),
        Column(250, (Node("joined", "STAG4DAddViews", {"weight": 0.5}), *fit())),
        Column(310, (Node("preview", "STAG4DPreview", height=500),)),
    ),
    (
        ("scene.scene", "render.scene"),
        ("path.cameras", "render.cameras"),
        ("render.images", "edit.image"),
        ("edit.IMAGE", "repaired.views"),
        ("render.mask", "repaired.views_mask"),
        ("render.fps", "repaired.fps"),
        ("path.camera_info", "repaired.camera_info"),
        ("toy.views", "joined.views"),
        ("repaired.views", "joined.added"),
        ("joined.views", "fit.views"),
        ("scene.scene", "fit.scene"),
        *SCENE_LINKS,
    ),
)
TRIPOSPLAT = "VAST-AI/TripoSplat"
TRIPOSPLAT_UNET = model_file(TRIPOSPLAT, "diffusion_models/triposplat_fp16.safetensors", "diffusion_models")
TRIPOSPLAT_VISION = model_file(TRIPOSPLAT, "clip_vision/dino_v3_vit_h.safetensors", "clip_vision")
TRIPOSPLAT_VAE = model_file(TRIPOSPLAT, "vae/flux2-vae.safetensors", "vae")
TRIPOSPLAT_DECODER = model_file(TRIPOSPLAT, "vae/triposplat_vae_decoder_fp16.safetensors", "vae")
TRIPOSPLAT_START = Template(
    (
        Column(
            280,
            (
                note(
                    "What happens",
                    """
**TripoSplat** makes a splat of the middle frame, and the fit starts from it in place of the visual hull:
*Middle frame* takes frame 8 of 16. At first the views are those of a toy. For a video of yours, take images,
mask and views from the nodes of *02 Video to 4D scene* instead of **Sample Object**.

**Transform Splat** turns and scales the splat to the object in the views. Its values are inferred from
ComfyUI's code: if the first previews show the object twice, correct them. Tested with small random models,
not with the published weights.
""",
                    210,
                ),
                Node("toy", "STAG4DSampleObject", TOY),
                Node("joined", "JoinImageWithAlpha"),
            ),
        ),
        Column(
            260,
            (
                Node("middle", "ImageFromBatch", {"batch_index": 8}, "Middle frame"),
                Node("cut", "SplitImageWithAlpha"),
                Node("square", "TripoSplatPreprocessImage"),
                Node(
                    "vision",
                    "CLIPVisionLoader",
                    {"clip_name": TRIPOSPLAT_VISION["name"]},
                    models=(TRIPOSPLAT_VISION,),
                ),
                Node("vae", "VAELoader", {"vae_name": TRIPOSPLAT_VAE["name"]}, models=(TRIPOSPLAT_VAE,)),
                Node("latent", "TripoSplatConditioning"),
            ),
        ),
        Column(
            260,
            (
                Node(
                    "unet",
                    "UNETLoader",
                    {"unet_name": TRIPOSPLAT_UNET["name"]},
                    models=(TRIPOSPLAT_UNET,),
                ),
                Node(
                    "sampler",
                    "KSampler",
                    {"seed": 1, "steps": 20, "cfg": 3.0, "sampler_name": "dpmpp_2m", "scheduler": "simple"}
                    | FIXED,
                ),
            ),
        ),
        Column(
            260,
            (
                Node(
                    "decoder",
                    "VAELoader",
                    {"vae_name": TRIPOSPLAT_DECODER["name"]},
                    models=(TRIPOSPLAT_DECODER,),
                ),
                Node("splat", "VAEDecodeTripoSplat", {"num_gaussians": 32768} | FIXED),
                Node(
                    "placed",
                    "TransformSplat",
                    {"rotate_y": 90.0, "scale_x": 1.6, "scale_y": 1.6, "scale_z": 1.6},
                ),
                fit()[1],
            ),
        ),
        Column(340, (Node("preview", "STAG4DPreview", height=400), fit()[0])),
    ),
    (
        ("toy.images", "joined.image"),
        ("toy.mask", "joined.alpha"),
        ("joined.IMAGE", "middle.image"),
        ("middle.IMAGE", "cut.image"),
        ("cut.IMAGE", "square.image"),
        ("cut.MASK", "square.mask"),
        ("square.image", "latent.image"),
        ("vision.CLIP_VISION", "latent.clip_vision"),
        ("vae.VAE", "latent.vae"),
        ("unet.MODEL", "sampler.model"),
        ("latent.positive", "sampler.positive"),
        ("latent.negative", "sampler.negative"),
        ("latent.latent", "sampler.latent_image"),
        ("sampler.LATENT", "splat.samples"),
        ("decoder.VAE", "splat.vae"),
        ("splat.splat", "placed.splat"),
        ("placed.splat", "fit.splat"),
        ("toy.views", "fit.views"),
        *SCENE_LINKS,
    ),
)
