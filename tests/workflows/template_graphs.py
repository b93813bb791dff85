"""The graphs of the workflow templates."""

from __future__ import annotations

from native_graphs import NATIVE_DEPTH, NATIVE_MULTIVIEW
from template_parts import (
    BACKGROUND_REMOVAL,
    CHARACTER,
    GET_ZERO123PLUS,
    PREVIEW,
    SCENE_LINKS,
    SMALL_PREVIEW,
    TOY,
    TURNTABLE_LINKS,
    VIEW_LINKS,
    VIEWS,
    Column,
    Node,
    Template,
    fit,
    note,
    turntable,
)
from video_model_graphs import LTX_TO_SCENE, SVD_TO_SCENE, WAN_TO_SCENE
from view_source_graphs import ORTHO_TO_SCENE, REPAIR, SV3D_TO_SCENE, SV4D_TO_SCENE, TRIPOSPLAT_START

QUICK_START = Template(
    (
        Column(
            290,
            (
                Node("toy", "STAG4DSampleObject", CHARACTER),
                Node("frames", "STAG4DPrepareFrames", {"num_frames": 16, "size": 128}),
            ),
        ),
        Column(290, VIEWS),
        Column(290, (Node("guidance", "STAG4DLoadGuidance"), *fit("fast"))),
        Column(
            480,
            (
                note(
                    "What happens",
                    """
The video of a character becomes a 4D scene, with the small bundled models and without any download: some
minutes on two CPU cores. **Optimize** and **Preview** show the scene while it is fitted.

The views around it are *generated* from the video. The bundled models know ten characters of **Sample
Object**, in any colors, pattern and motion, and nothing else.
""",
                    120,
                ),
                PREVIEW,
            ),
        ),
    ),
    (
        ("toy.images", "frames.images"),
        ("toy.mask", "frames.mask"),
        *VIEW_LINKS,
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
        Column(320, (note("Multi-view model", GET_ZERO123PLUS, 190), *VIEWS)),
        Column(440, (SMALL_PREVIEW, *fit()[::-1])),
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

SEVERAL_VIDEOS = Template(
    (
        Column(
            250,
            (
                *(
                    Node(f"seed{seed}", "PrimitiveInt", {"value": seed}, "Seed of a toy")
                    for seed in (20, 3, 7)
                ),
                Node("list", "CreateList"),
            ),
        ),
        Column(
            300,
            (
                note(
                    "What happens",
                    """
ComfyUI runs the nodes behind a list once for each item: every video becomes a scene, a saved file and a
video around it. Here the videos are those of toys, with the seeds in the list. For videos of your own
connect several **Load Video** nodes of ComfyUI to **Create List**, and its list to `video` of
**STAG4D Prepare Frames**.
""",
                    250,
                ),
                Node("toy", "STAG4DSampleObject", {"name": "quadruped", "num_frames": 8}),
            ),
        ),
        Column(260, fit("fast")),
        Column(260, turntable("stag4d_list")[:2]),
        Column(330, turntable("stag4d_list")[2:]),
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
    "11 Video to 4D scene with SV3D": SV3D_TO_SCENE,
    "12 SV4D 2.0 videos to 4D scene": SV4D_TO_SCENE,
    "13 Orthographic views to 4D scene": ORTHO_TO_SCENE,
    "14 Repair views and fit again": REPAIR,
    "15 TripoSplat as start of the fit": TRIPOSPLAT_START,
    "16 Views with KSampler": NATIVE_MULTIVIEW,
    "17 Views with KSampler and ControlNet": NATIVE_DEPTH,
}
