"""Prompts with a knowable error are refused before any node runs; the message says what helps."""

import asyncio
import json
import sys

import pytest
from host_validation import LINK, refusals

TURNTABLE = {"mode": "turntable", "mode.elevation": 0.0, "mode.azimuth_start": 0.0, "mode.turns": 1.0}
VALID = {
    "STAG4DExport": {"scene": LINK, "filename_prefix": "stag4d/export", "format": "html"},
    "STAG4DSave": {"scene": LINK, "filename_prefix": "stag4d/scene"},
    "STAG4DOptimize": {"views": LINK, "preset": "auto", "steps": 0, "size": 0, "seed": 0},
    "STAG4DDensification": {
        "strategy": "none",
        "max_gaussians": 10_000,
        "every": 50,
        "start": 0.1,
        "stop": 0.6,
        "clone_scale": 0.02,
    },
    "STAG4DCameraPath": {
        "width": 64,
        "height": 64,
        "num_cameras": 8,
        "fovy": 49.1,
        "radius": 2.0,
        **TURNTABLE,
    },
    "STAG4DRender": {"scene": LINK, "cameras": LINK, "background": "#ffffff", "time_mode": "all frames"},
    "STAG4DToSplat": {"scene": LINK, "times": "all frames"},
    "STAG4DViewsFromImages": {
        "reference": LINK,
        "views": LINK,
        "azimuths": "30, 90",
        "elevations": "30, -20",
        "fovy": 49.1,
        "radius": 2.0,
        "fps": 8.0,
        "input_elevation": 0.0,
    },
    "STAG4DViewsFromVideos": {
        "views.view0": LINK,
        "views.view1": LINK,
        "views.view2": LINK,
        "views.view3": LINK,
        "reference": LINK,
        "rig": "sv4d2",
        "azimuths": "30, 90",
        "elevations": "30, -20",
        "fovy": 49.1,
        "radius": 2.0,
        "input_elevation": 0.0,
        "fps": 0.0,
    },
    "STAG4DAnchoredMultiView": {
        "multiview": LINK,
        "images": LINK,
        "steps": 0,
        "cfg": 0.0,
        "seed": 0,
        "anchor_strength": 0.5,
        "anchor_frame": 0,
        "input_elevation": 0.0,
        "previous_strength": 0.5,
        "share_noise": True,
        "share_reference_noise": False,
        "mattes": "border",
        "fps": LINK,
    },
    "STAG4DMultiViewOptions": {
        "model": LINK,
        "rig": "v1.1",
        "schedule": "published",
        "ramping_coefficients": "[0.0, 0.5]",
    },
    "STAG4DAnchoredAttention": {
        "model": LINK,
        "anchor_frame": 0,
        "anchor_strength": 0.5,
        "previous_strength": 0.5,
        "share_noise": True,
        "share_reference_noise": False,
        "frames_per_call": 0,
    },
    "STAG4DViewsFromGrid": {
        "grid": LINK,
        "rig": LINK,
        "reference": LINK,
        "input_elevation": 0.0,
        "mattes": "border",
        "fps": LINK,
    },
    "STAG4DPrepareFrames": {
        "images": LINK,
        "num_frames": 16,
        "size": 512,
        "margin": 0.1,
        "invert_mask": False,
        "start": 3,
        "end": -1,
    },
    "STAG4DLoadMultiView": {"model": "bundled/mini-zero123plus", "dtype": "auto", "rig": "auto"},
    "STAG4DLoadGuidance": {"model": "bundled/mini-zero123", "dtype": "auto"},
    "STAG4DPreview": {"scene": LINK, "width": 512, "height": 512, "view": ""},
    "STAG4DLoad": {"file": "bundled/quadruped.safetensors", "fps": 0.0, "frames": 0},
    "STAG4DLoadVideo": {"file": "cat.mp4", "num_frames": 16, "start": 0.5, "end": 0.0},
    "STAG4DLoadViews": {"folder": "toy"},
}
KEYFRAMES = {"mode": "keyframes", "mode.keyframes": "0, 0\n90, 30"}
INVALID = [
    ("STAG4DExport", {"format": "usdz"}, "format: missing, or no option of this node; expected one of ply"),
    ("STAG4DExport", {"filename_prefix": "../x"}, "'../x' leads out of the output folder"),
    ("STAG4DSave", {"filename_prefix": "../x"}, "'../x' leads out of the output folder"),
    ("STAG4DSave", {"filename_prefix": "n" * 300}, "expected one of at most 236 bytes"),
    ("STAG4DSave", {"filename_prefix": "file/x"}, "file is a file; expected a folder, or another prefix"),
    ("STAG4DOptimize", {"preset": "paper"}, "from STAG4D Load Guidance Model"),
    ("STAG4DOptimize", {"preset": "best"}, "preset: 'best' is no option; expected one of auto, fast"),
    ("STAG4DOptimize", {"scene": LINK, "splat": LINK}, "both a scene and a splat are connected"),
    ("STAG4DOptimize", {"size": 8}, "size: 8 pixels; expected 16 to 4096"),
    ("STAG4DOptimize", {"size": 9999}, "size: 9999; expected 0 to 4096"),
    ("STAG4DOptimize", {"steps": -1}, "steps: -1 smaller than min of 0"),
    ("STAG4DDensification", {"start": 0.7}, "start 0.7, stop 0.6; expected 0 <= start <= stop"),
    ("STAG4DDensification", {"stop": 1.5}, "stop: 1.5; expected 0.0 to 1.0"),
    ("STAG4DDensification", {"strategy": "some"}, "strategy: missing, or no option of this node"),
    ("STAG4DCameraPath", {"mode": "spiral"}, "expected one of turntable, orbit, keyframes, camera"),
    ("STAG4DCameraPath", {"num_cameras": 0}, "num_cameras: 0; expected 1 to 4096"),
    ("STAG4DCameraPath", {"mode.turns": 500.0}, "turns: 500.0; expected -100.0 to 100.0"),
    ("STAG4DCameraPath", {**KEYFRAMES, "mode.keyframes": "0, 0\n90"}, "keyframes: line 2 is '90'"),
    ("STAG4DCameraPath", {**KEYFRAMES, "mode.keyframes": "0, 95"}, "line 1: camera pose: elevation 95"),
    ("STAG4DCameraPath", {**KEYFRAMES, "mode.keyframes": ""}, "no keyframes; expected at least one"),
    ("STAG4DCameraPath", {**KEYFRAMES, "radius": 0.0}, "radius: 0.0; expected 0.05 to 100.0"),
    ("STAG4DRender", {"background": "white"}, "'white' is not a color; expected #rrggbb"),
    ("STAG4DRender", {"time_mode": "loop"}, "expected one of all frames, ping-pong, freeze, bullet time"),
    ("STAG4DToSplat", {"times": "none"}, "expected one of all frames, moment"),
    ("STAG4DViewsFromImages", {"azimuths": "30, 90, 150"}, "3 azimuths and 2 elevations"),
    ("STAG4DViewsFromImages", {"azimuths": "30, x"}, "azimuths: 'x' is not a number"),
    ("STAG4DViewsFromImages", {"azimuths": LINK, "elevations": "a"}, "elevations: 'a' is not a number"),
    ("STAG4DViewsFromImages", {"elevations": "30, 95"}, "elevation 95 degrees"),
    ("STAG4DViewsFromImages", {"rig": "sv5d"}, "rig: 'sv5d' is no option; expected one of custom, sv4d2"),
    ("STAG4DViewsFromImages", {"order": "sorted"}, "order: 'sorted' is no option"),
    ("STAG4DViewsFromImages", {"rig": "cameras"}, "camera_info: not connected, nor are extrinsics"),
    ("STAG4DViewsFromImages", {"camera_info": LINK}, "camera_info: connected, but rig is custom"),
    (
        "STAG4DViewsFromImages",
        {"rig": "cameras", "camera_info": LINK, "extrinsics": LINK},
        "camera_info: connected, and extrinsics too",
    ),
    ("STAG4DViewsFromImages", {"rig": "sv4d2", "reference": None}, "reference: no frames of the input video"),
    ("STAG4DViewsFromImages", {"reference": None}, "reference: no frames of the input video"),
    ("STAG4DViewsFromImages", {"input_elevation": 95.0}, "input_elevation: 95.0; expected -89.0 to 89.0"),
    ("STAG4DViewsFromImages", {"projection": "ortho", "elevations": "0, 95"}, "rig: elevation 95 degrees"),
    ("STAG4DViewsFromVideos", {"views.view3": None}, "views: 3 videos for rig sv4d2, which has 4 cameras"),
    ("STAG4DViewsFromVideos", {"rig": "custom"}, "views: 4 videos for rig custom, which has 2 cameras"),
    ("STAG4DViewsFromVideos", {"rig": "none"}, "rig: 'none' is no option"),
    ("STAG4DViewsFromVideos", {"reference": None}, "reference: no frames of the input video"),
    ("STAG4DViewsFromVideos", {"reference_images": LINK}, "reference: connected, and reference_images too"),
    ("STAG4DViewsFromVideos", {"extrinsics": LINK}, "extrinsics: connected, but rig is sv4d2"),
    ("STAG4DAnchoredMultiView", {"anchor_strength": 0.8}, "expected 0 or more, and a sum of at most 1"),
    ("STAG4DAnchoredMultiView", {"anchor_strength": 2.0}, "anchor_strength: 2.0; expected 0.0 to 1.0"),
    ("STAG4DAnchoredMultiView", {"mattes": "birefnet"}, "mattes: 'birefnet' is no option"),
    ("STAG4DAnchoredMultiView", {"steps": 1001}, "steps: 1001 bigger than max"),
    ("STAG4DMultiViewOptions", {"ramping_coefficients": "a"}, "ramping_coefficients: no list of numbers"),
    ("STAG4DMultiViewOptions", {"schedule": "cosine"}, "schedule: 'cosine' is no option"),
    ("STAG4DAnchoredAttention", {"anchor_strength": 0.8}, "expected 0 or more, and a sum of at most 1"),
    ("STAG4DViewsFromGrid", {"mattes": "birefnet"}, "mattes: 'birefnet' is no option"),
    ("STAG4DPrepareFrames", {"end": 2}, "end: 2; expected 3 (start) or more, or -1"),
    ("STAG4DPrepareFrames", {"start": -1}, "start: -1; expected 0 to 1000000"),
    ("STAG4DPrepareFrames", {"num_frames": 1025}, "num_frames: 1025; expected 0 to 1024"),
    ("STAG4DPrepareFrames", {"video": LINK}, "images: connected, and video too; expected one of them"),
    ("STAG4DLoadVideo", {"file": "gone.mp4"}, "video: 'gone.mp4' was not found; choose one in the list"),
    ("STAG4DLoadVideo", {"end": 0.25}, "frames from 0.5 s to 0.25 s; expected 0 <= start < end"),
    ("STAG4DLoadVideo", {"start": -1.0}, "start: -1.0; expected 0.0 to 100000.0"),
    ("STAG4DLoadVideo", {"file": LINK, "end": 0.5}, "frames from 0.5 s to 0.5 s; expected 0 <= start < end"),
    ("STAG4DLoadViews", {"folder": "gone"}, "view folder: 'gone' has no folder 'ref'"),
    ("STAG4DLoad", {"file": "gone.ply"}, "scene file: 'gone.ply' was not found"),
    ("STAG4DLoad", {"frames": 5}, "a number of frames is only for official results"),
    ("STAG4DLoad", {"frames": -1}, "frames: -1; expected 0 to 65536"),
    ("STAG4DLoadMultiView", {"model": "none"}, "`python -m stag4d download zero123plus-v1.1 -o FOLDER`"),
    ("STAG4DLoadMultiView", {"model": "none"}, "bundled/mini-zero123plus"),
    ("STAG4DLoadMultiView", {"model": "guidance"}, "guidance: is no multiview model"),
    ("STAG4DLoadMultiView", {"model": "no-weights"}, "unet: no weights"),
    ("STAG4DLoadGuidance", {"model": "none"}, "bundled/mini-zero123"),
    ("STAG4DLoadGuidance", {"model": "multiview"}, "multiview: is no guidance model"),
    ("STAG4DPreview", {"view": "{}"}, "view: version"),
]


@pytest.fixture(scope="module")
def nodes(pack):
    return {node.__name__: node for node in asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())}


@pytest.fixture
def folders(pack_module, host_folders):
    """The host's folders, with a video and views, models, one of them without weights, and an output."""
    root = host_folders / "models" / "diffusers"
    networks = {"vision_encoder", "text_encoder", "unet", "vae"}
    _write_model(root / "multiview", {"ramping_coefficients": [0.0]}, networks)
    _write_model(root / "no-weights", {"ramping_coefficients": [0.0]}, networks - {"unet"})
    networks = {"image_encoder", "clip_camera_projection", "unet", "vae"}
    _write_model(root / "guidance", {"clip_camera_projection": ["zero123", "Projection"]}, networks)
    (host_folders / "output" / "file").touch()
    (host_folders / "input" / "cat.mp4").touch()
    views = pack_module("stag4d.toys").toy_views(2, num_frames=1, size=32)
    pack_module("stag4d.data").write_views(host_folders / "input" / "toy", views)
    return host_folders


def _write_model(folder, index, networks):
    """Write the index of a model, and empty weights of its networks."""
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(index))
    for name in networks:
        (folder / name).mkdir()
        (folder / name / "model.safetensors").touch()


@pytest.mark.parametrize("name", VALID)
@pytest.mark.usefixtures("folders")
def test_valid_prompt_is_accepted_and_leaves_nothing_behind(nodes, name, host_folders):
    assert refusals(nodes[name], VALID[name]) == []
    assert [path.name for path in (host_folders / "output").iterdir()] == ["file"]


@pytest.mark.parametrize(("name", "values", "message"), INVALID)
@pytest.mark.usefixtures("folders")
def test_invalid_prompt_is_refused_with_what_helps(nodes, name, values, message):
    inputs = {key: value for key, value in {**VALID[name], **values}.items() if value is not None}
    if values.get("mode"):
        inputs = {key: value for key, value in inputs.items() if key in values or not key.startswith("mode.")}
    found = refusals(nodes[name], inputs)
    assert found
    for text in found:
        assert message in text


@pytest.mark.parametrize("name", VALID)
@pytest.mark.usefixtures("folders")
def test_linked_widgets_are_left_to_the_run(nodes, name):
    dynamic = {"format", "strategy", "mode", "time_mode", "times"}  # the page has no sockets for these
    linked = {key: value if key in dynamic else LINK for key, value in VALID[name].items()}
    assert refusals(nodes[name], linked) == []


def test_preset_that_needs_guidance_is_accepted_with_it(nodes):
    assert (
        refusals(nodes["STAG4DOptimize"], {**VALID["STAG4DOptimize"], "preset": "paper", "guidance": LINK})
        == []
    )


@pytest.mark.parametrize(
    ("chosen", "package"),
    [("spz", "gsply"), ("spz sequence", "gsply"), ("4dgs", "fourdgs"), ("glb", "fourdgs")],
)
def test_format_without_its_package_is_refused_with_the_install_command(
    nodes, host_folders, monkeypatch, chosen, package
):
    inputs = {**VALID["STAG4DExport"], "format": chosen}
    inputs |= {"format.moment": 0.5} if chosen in ("spz", "glb") else {}
    assert refusals(nodes["STAG4DExport"], inputs) == []
    monkeypatch.setitem(sys.modules, package, None)
    (first, *others) = refusals(nodes["STAG4DExport"], inputs)
    assert f'the package {package} is not installed; pip install "{package}>=' in first
    assert sys.executable in first
    assert len(others) == 1  # the host repeats it for both inputs


def test_rembg_is_needed_before_the_views_are_generated(nodes, monkeypatch):
    monkeypatch.setitem(sys.modules, "rembg", None)
    inputs = {**VALID["STAG4DAnchoredMultiView"], "mattes": "rembg"}
    found = refusals(nodes["STAG4DAnchoredMultiView"], inputs)
    assert found
    for message in found:
        assert "pip install 'rembg[cpu]', or compute alpha from the plain border" in message
        assert sys.executable in message


def test_scene_file_that_needs_a_missing_package_is_refused(nodes, host_folders, monkeypatch):
    (host_folders / "input" / "a.4dgs").write_bytes(b"x")
    load = nodes["STAG4DLoad"]
    assert refusals(load, {"file": "a.4dgs"}) == []
    monkeypatch.setitem(sys.modules, "fourdgs", None)
    (message,) = refusals(load, {"file": "a.4dgs"})
    assert "the package fourdgs is not installed; pip install" in message


@pytest.mark.usefixtures("folders")
def test_linked_widgets_are_no_error_for_the_cache(nodes):
    """The host passes None for linked inputs, and runs a node again after an error."""
    named = [name for name, node in nodes.items() if hasattr(node, "fingerprint_inputs")]
    assert {"STAG4DLoad", "STAG4DLoadVideo", "STAG4DLoadViews"} <= set(named)
    for name in named:
        assert nodes[name].fingerprint_inputs(**dict.fromkeys(VALID[name])) == "", name


def test_every_node_that_refuses_prompts_is_tested(nodes):
    assert {name for name, node in nodes.items() if hasattr(node, "validate_inputs")} == set(VALID)


def test_full_output_folder_is_refused(nodes, folders, pack_module, monkeypatch):
    def full(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pack_module("nodes.host.files"), "temporary_file", full)
    (message,) = refusals(nodes["STAG4DSave"], VALID["STAG4DSave"])
    assert "(No space left on device); free some space" in message


def test_damaged_index_is_refused(nodes, folders):
    (folders / "models" / "diffusers" / "multiview" / "model_index.json").write_text("{")
    (message,) = refusals(
        nodes["STAG4DLoadMultiView"], {**VALID["STAG4DLoadMultiView"], "model": "multiview"}
    )
    assert "model_index.json: cannot be read as JSON" in message
    (folders / "models" / "diffusers" / "multiview" / "model_index.json").write_text(json.dumps([]))
    (message,) = refusals(
        nodes["STAG4DLoadMultiView"], {**VALID["STAG4DLoadMultiView"], "model": "multiview"}
    )
    assert "expected a JSON object" in message


def test_every_node_with_a_dynamic_combo_refuses_an_unknown_option(nodes):
    """The host does not, and would run the node without the input, after those before it."""
    for name, node in nodes.items():
        for item in node.define_schema().inputs:
            if item.io_type == "COMFY_DYNAMICCOMBO_V3":
                inputs = {
                    key: value for key, value in VALID[name].items() if not key.startswith(f"{item.id}.")
                }
                assert refusals(node, {**inputs, item.id: "unknown"}), name
