"""The templates for views of other models, in a real ComfyUI, with toys and small random models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from media_files import write_video
from PIL import Image
from workflow_graph import to_prompt

from stag4d.geometry import camera_rig, rig_cameras
from stag4d.rendering import render
from stag4d.scene import load_scene
from stag4d.toys import render_toy, toy_object
from stag4d.types import Cameras

FOLDER = Path(__file__).parents[2] / "workflows"
FRAMES, SIZE = 3, 64
MIDDLE = 1  # where a fit begins
SMALL = {
    "STAG4DLoadVideo": {"file": "toy.mp4", "num_frames": FRAMES},
    "STAG4DPrepareFrames": {"num_frames": FRAMES, "size": SIZE},
    "STAG4DSampleObject": {"num_frames": FRAMES, "size": SIZE},
    "STAG4DCameraPath": {"width": SIZE, "height": SIZE},
    "STAG4DOptimize": {"steps": 150, "size": SIZE},
    "SV3D_Conditioning": {"width": SIZE, "height": SIZE, "video_frames": 5},
    "TripoSplatPreprocessImage": {"size": 256},
    "KSampler": {"steps": 1},
}
STAND_INS = {
    "ImageOnlyCheckpointLoader": "StandInSV3D",
    "UNETLoader": "StandInTripoSplat",
    "CLIPVisionLoader": "StandInDino",
    "VAELoader": "StandInVAE",
}
NEEDING_WEIGHTS = {"LoadBackgroundRemovalModel", "RemoveBackground"}
GRAY = 0.5
TOY = toy_object(3, plan="robot")
pytestmark = [pytest.mark.host, pytest.mark.slow]


def run_template(host, name, settings=None):
    """Run a template with small settings and stand-ins; return the fitted scene."""
    workflow = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    prompt = to_prompt(workflow, NEEDING_WEIGHTS)
    for step in prompt.values():
        step["inputs"] |= {**SMALL, **(settings or {})}.get(step["class_type"], {})
        step["class_type"] = STAND_INS.get(step["class_type"], step["class_type"])
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    (text,) = [
        shown["text"][0]
        for node, shown in entry["outputs"].items()
        if prompt[node]["class_type"] == "STAG4DSave"
    ]
    return load_scene(host.base / "output" / text.removeprefix("saved ").removesuffix(" [output]"))


def renders(rig, size=SIZE):
    """Return the toy on a plain background from the cameras of a rig, uint8 [V, F, S, S, 3], and alphas."""
    found = rig_cameras(camera_rig(rig), size, size)
    cameras = Cameras(found.viewmats, found.Ks, size, size, found.projection)
    images, alphas = render_toy(TOY, cameras, np.linspace(0, 1, FRAMES).tolist())
    background = GRAY if found.projection == "ortho" else 1.0
    plain = images * alphas[..., None] + background * (1 - alphas[..., None])
    return (255 * plain).round().byte().numpy(), alphas, cameras


def overlap(scene, cameras, alphas):
    """Return the mean intersection over union of a scene's middle frame and silhouettes [V, H, W]."""
    gaussians = scene.at(scene.frame_times[[scene.info.num_frames // 2]])[0]
    shares = []
    for index, truth in enumerate(alphas > 0.5):
        found = render(gaussians, cameras[[index]]).alphas[0].detach() > 0.5
        shares.append(((found & truth).sum() / (found | truth).sum()).item())
    return float(np.mean(shares))


def assert_shows(scene, cameras, alphas):
    """Check that a scene has these silhouettes from these cameras, and not from the same ones reversed."""
    assert overlap(scene, cameras, alphas) > 0.8
    assert overlap(scene, cameras[list(reversed(range(len(cameras))))], alphas) < 0.75


@pytest.fixture
def video_file(host):
    """The toy from the front in ComfyUI's input folder, 12 frames a second."""
    images, _, _ = renders("sv3d-core")
    return write_video(host.base / "input" / "toy.mp4", list(images[0]), fps=12)


@pytest.mark.usefixtures("video_file")
def test_sv3d_template_fits_a_scene_to_the_views_of_every_frame(host):
    scene = run_template(host, "11 Video to 4D scene with SV3D")
    assert scene.info.num_frames == FRAMES
    assert scene.info.fps == pytest.approx(12)


def test_sv4d_template_fits_the_object_in_the_videos(host):
    images, alphas, cameras = renders("sv4d2")
    front, _, _ = renders("sv3d-core")
    for number, video in enumerate(images, start=1):
        write_video(host.base / "input" / f"000000_v00{number}.mp4", list(video), fps=10)
    write_video(host.base / "input" / "000000_process_input.mp4", list(front[0]), fps=10)
    scene = run_template(host, "12 SV4D 2.0 videos to 4D scene")
    assert (scene.info.num_frames, scene.info.fps) == (FRAMES, 10)
    assert_shows(scene, cameras, alphas[:, MIDDLE])


def test_orthographic_template_fits_the_object_in_the_sheets(host):
    images, alphas, cameras = renders("mv-adapter")
    folder = host.base / "input" / "sheets"
    folder.mkdir(exist_ok=True)
    for frame in range(FRAMES):
        Image.fromarray(np.concatenate(list(images[:, frame]), axis=1)).save(folder / f"{frame}.png")
    scene = run_template(host, "13 Orthographic views to 4D scene", {"STAG4DLoadVideo": {"file": "sheets/"}})
    assert scene.info.num_frames == FRAMES
    assert_shows(scene, cameras, alphas[:, MIDDLE])


def test_repair_template_fits_the_scene_again_from_where_it_was(host):
    scene = run_template(host, "14 Repair views and fit again", {"STAG4DSampleObject": {"size": SIZE}})
    bundled = load_scene(FOLDER.parent / "stag4d" / "weights" / "scenes" / "quadruped.safetensors")
    assert scene.info.num_frames == bundled.info.num_frames
    behind = rig_cameras(camera_rig("sv4d2"), SIZE, SIZE)
    cameras = Cameras(behind.viewmats, behind.Ks, SIZE, SIZE)
    gaussians = bundled.at(bundled.frame_times[[bundled.info.num_frames // 2]])[0]
    with torch.no_grad():
        before = torch.cat([render(gaussians, cameras[[i]]).alphas for i in range(len(cameras))])
    assert_shows(scene, cameras, before)


def test_triposplat_template_starts_from_the_splat(host):
    scene = run_template(host, "15 TripoSplat as start of the fit")
    assert scene.info.num_frames == FRAMES
    assert len(scene.gaussians) > 20_000  # a start from the hull has a few thousand
