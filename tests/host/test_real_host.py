"""The pack in a real ComfyUI: it loads without a warning, and its templates run."""

from __future__ import annotations

import json
import subprocess
import urllib.error
from pathlib import Path
from urllib.parse import quote

import av
import pytest
import torch
from workflow_graph import NOTES, UPLOAD, to_prompt

from stag4d.scene import SH_C0, GaussianModel4D, Gaussians, SceneInfo, load_scene, save_scene
from stag4d.toys import toy_views

ROOT = Path(__file__).parents[2]
PACK = "stag4d-pack"
TEMPLATES = sorted((ROOT / "workflows").glob("*.json"))
WORKFLOWS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in TEMPLATES}
TO_VIDEO = [
    "04 Toy with ground-truth views to video",
    "05 Saved scene to video",
    "06 4D scene and ComfyUI's splat nodes",
]
SAVED = "stag4d/scene_00001_.safetensors"  # what STAG4D Save Scene writes first
NEEDING_WEIGHTS = {"LoadBackgroundRemovalModel", "RemoveBackground"}
pytestmark = pytest.mark.host


@pytest.fixture
def scene_file(host):
    """A green ball in ComfyUI's output folder."""
    gaussians = Gaussians(
        means=torch.zeros(1, 3),
        log_scales=torch.full((1, 3), -1.5),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        logit_opacities=torch.tensor([6.0]),
        sh0=torch.tensor([[[-0.5, 0.5, -0.5]]]) / SH_C0,
    )
    save_scene(host.base / "output" / SAVED, GaussianModel4D(gaussians, None, SceneInfo(num_frames=4)))


@pytest.fixture
def video_file(host):
    """Seven frames of a toy on white in ComfyUI's input folder, 24 a second."""
    toy = toy_views(3, 7, 64)
    white = toy.images * toy.alphas[..., None] + 1 - toy.alphas[..., None]  # [F, H, W, 3]
    with av.open(str(host.base / "input" / "video.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=24, bit_rate=4_000_000)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for image in (255 * white).round().byte().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def test_pack_loads_without_a_warning_in_the_log(host):
    log = host.log.read_text(encoding="utf-8").partition("To see the GUI")[0]  # only of the start
    (only,) = [line for line in log.splitlines() if PACK in line]  # the table of import times
    assert only.endswith(f"seconds: {host.base / 'custom_nodes' / PACK}")
    assert "parse pyproject.toml" not in log


def test_every_node_is_registered_with_its_widgets_in_order(host):
    registered = {name for name in json.loads(host.get("/object_info")) if name.startswith("STAG4D")}
    assert registered == {path.stem for path in (ROOT / "web" / "docs").glob("*.md")}
    info = json.loads(host.get("/object_info/STAG4DCameraPath"))["STAG4DCameraPath"]
    assert info["input_order"]["required"] == ["width", "height", "num_cameras", "fovy", "radius", "mode"]


def test_help_pages_and_templates_are_served(host):
    folder = ROOT / "web" / "docs"
    for page in folder.rglob("*.md"):  # ComfyUI's page asks for NODE/LANGUAGE.md, then for NODE.md
        name = page.relative_to(folder).as_posix()
        assert host.get(f"/extensions/{PACK}/docs/{name}").decode() == page.read_text(encoding="utf-8")
    listed = json.loads(host.get("/api/workflow_templates"))[PACK]
    assert sorted(listed) == [path.stem for path in TEMPLATES]
    for path in TEMPLATES:
        for file in (path, path.with_suffix(".jpg")):
            assert host.get(f"/api/workflow_templates/{PACK}/{quote(file.name)}") == file.read_bytes()


SMALL = {
    "STAG4DCameraPath": {"width": 64, "height": 64, "num_cameras": 5},
    "STAG4DSampleObject": {"num_frames": 5, "size": 48},
    "STAG4DLoadVideo": {"file": "video.mp4", "num_frames": 5},
    "STAG4DPrepareFrames": {"num_frames": 5, "size": 48},
    "STAG4DLoadMultiView": {"model": "bundled/mini-zero123plus"},
    "STAG4DAnchoredMultiView": {"steps": 1, "cfg": 1.0},
    "STAG4DOptimize": {"steps": 40, "size": 48},
    "RenderSplat": {"width": 64, "height": 64},
}


def run_template(host, name, bypassed=()):
    """Run a template with small settings; return the outputs that its nodes show, by node type."""
    prompt = to_prompt(WORKFLOWS[name], bypassed)
    for step in prompt.values():
        step["inputs"] |= SMALL.get(step["class_type"], {})
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    return {prompt[node]["class_type"]: shown for node, shown in entry["outputs"].items()}


@pytest.mark.parametrize("name", TO_VIDEO)
def test_template_writes_its_video(host, name):
    run_template(host, name)
    video = max((host.base / "output").rglob("*.mp4"), key=lambda file: file.stat().st_mtime)
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == (16 if "splat" in name else 5)  # one per frame of the scene, or per camera
    for frame in frames:
        assert frame.shape == (64, 64, 3)
        assert frame[2, 2].min() > 230  # white background
        assert (frame.min(axis=-1) < 200).mean() > 0.02  # an object


def test_viewer_template_renders_one_image(host):
    assert (
        len(run_template(host, "03 Toy with ground-truth views in the viewer")["PreviewImage"]["images"]) == 1
    )


@pytest.mark.usefixtures("video_file")
def test_video_template_fits_a_scene_of_the_same_duration(host):
    """With the bundled model and alphas from the plain background, as its note suggests."""
    shown = run_template(host, "02 Video to 4D scene", bypassed=NEEDING_WEIGHTS)
    name = shown["STAG4DSave"]["text"][0].removeprefix("saved ").removesuffix(" [output]")
    info = load_scene(host.base / "output" / name).info
    assert info.num_frames == 5
    assert info.fps == pytest.approx(24 * 4 / 6)  # five of seven frames


def test_list_template_writes_a_scene_for_each_item(host):
    shown = run_template(host, "10 Several videos in one run")
    assert len(shown["STAG4DSave"]["text"]) == 3


def test_nodes_in_templates_have_the_inputs_and_outputs_of_their_schemas(host):
    info = json.loads(host.get("/object_info"))
    nodes = [node for graph in WORKFLOWS.values() for node in graph["nodes"] if node["type"] not in NOTES]
    for node in nodes:
        known = info[node["type"]]
        names = {name for inputs in known["input_order"].values() for name in inputs}
        names.add(UPLOAD)
        assert {slot["name"].partition(".")[0] for slot in node["inputs"]} <= names, node["type"]
        if node["type"] != "CreateList":  # the page gives its output the type of what is connected
            assert [slot["type"] for slot in node["outputs"]] in (known["output"], []), node["type"]


@pytest.mark.parametrize(
    "mode", [{"time_mode": "freeze", "time_mode.moment": 0.5}, {"time_mode": "ping-pong"}]
)
@pytest.mark.usefixtures("scene_file")
def test_every_time_mode_is_accepted_in_a_prompt(host, mode):
    orbit = {"azimuth_start": 0.0, "azimuth_end": 90.0, "elevation_start": 0.0, "elevation_end": 10.0}
    path = {"width": 32, "height": 32, "num_cameras": 3, "fovy": 49.1, "radius": 2.0, "mode": "orbit"}
    render = {"scene": ["1", 0], "cameras": ["2", 0], "background": "#000000"}
    prompt = {
        "1": {"class_type": "STAG4DLoad", "inputs": {"file": f"{SAVED} [output]"}},
        "2": {"class_type": "STAG4DCameraPath", "inputs": path | {f"mode.{k}": v for k, v in orbit.items()}},
        "3": {"class_type": "STAG4DRender", "inputs": render | mode},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 2]}},
    }
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert len(entry["outputs"]["4"]["images"]) == 3


@pytest.mark.usefixtures("scene_file")
def test_file_outside_the_folders_fails_validation(host):
    prompt = {
        "1": {"class_type": "STAG4DLoad", "inputs": {"file": "../host.log"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    with pytest.raises(urllib.error.HTTPError) as refusal:
        host.queue(prompt)
    assert "lies outside ComfyUI's folders" in refusal.value.read().decode()
    refusal.value.close()


def test_fake_host_has_only_what_the_real_comfyui_has(host):
    """Every input type, option, value and function of tests/support/fake_host exists in ComfyUI."""
    script = Path(__file__).with_name("compare_fake_host.py")
    result = subprocess.run(
        [host.python, script, ROOT / "tests" / "support" / "fake_host"],
        cwd=host.folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == []
