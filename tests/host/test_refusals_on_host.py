"""Prompts with a knowable error fail in the real ComfyUI before any node runs, or before the long work."""

from __future__ import annotations

import json
import urllib.error

import pytest

pytestmark = pytest.mark.host

SAMPLE = {"name": "fish", "seed": 5, "num_frames": 4, "size": 48}
FIT = {"views": ["sample", 2], "preset": "fast", "steps": 40, "size": 48, "seed": 0}
CAMERAS = {"width": 64, "height": 64, "num_cameras": 3, "fovy": 49.1, "radius": 2.0}
KEYFRAMES = {"mode": "keyframes", "mode.keyframes": "0, 0\n90, 30"}
VIEWS = {
    "steps": 0,
    "cfg": 0.0,
    "seed": 0,
    "anchor_strength": 0.5,
    "anchor_frame": 0,
    "input_elevation": 0.0,
    "previous_strength": 0.0,
    "share_noise": True,
    "share_reference_noise": False,
    "mattes": "border",
    "fps": 8.0,
}
ANGLES = {"azimuths": "30, 90, 150, 210, 270, 330", "elevations": "30, -20, 30, -20, 30, -20"}


def graph():
    """A prompt from a toy to a scene, with renders of it, ground truth and files, by readable node ids."""
    loader = {"model": "bundled/mini-zero123plus", "dtype": "auto", "rig": "auto"}
    from_images = {"reference": ["sample", 0], "views": ["views", 2], "fovy": 49.1, "radius": 2.0}
    nodes = {
        "sample": ("STAG4DSampleObject", SAMPLE),
        "multiview": ("STAG4DLoadMultiView", loader),
        "views": (
            "STAG4DAnchoredMultiView",
            {"multiview": ["multiview", 0], "images": ["sample", 0], **VIEWS},
        ),
        "posed": (
            "STAG4DViewsFromImages",
            {**from_images, **ANGLES, "fps": 8.0, "input_elevation": 0.0},
        ),
        "fit": ("STAG4DOptimize", {**FIT, "views": ["posed", 0]}),
        "cameras": ("STAG4DCameraPath", {**CAMERAS, **KEYFRAMES}),
        "render": (
            "STAG4DRender",
            {
                "scene": ["fit", 0],
                "cameras": ["cameras", 0],
                "background": "#ffffff",
                "time_mode": "all frames",
            },
        ),
        "evaluate": ("STAG4DEvaluate", {"images": ["render", 0], "truth": ["sample", 0]}),
        "export": (
            "STAG4DExport",
            {"scene": ["fit", 0], "filename_prefix": "stag4d/refused", "format": "html"},
        ),
        "save": ("STAG4DSave", {"scene": ["fit", 0], "filename_prefix": "stag4d/refused"}),
    }
    return {name: {"class_type": kind, "inputs": dict(inputs)} for name, (kind, inputs) in nodes.items()}


REFUSED = [
    ("fit", {"preset": "paper"}, "from STAG4D Load Guidance Model"),
    ("fit", {"scene": ["fit2", 0], "splat": ["splat", 0]}, "both a scene and a splat are connected"),
    ("fit", {"size": 8}, "size: 8 pixels; expected 16 to 4096"),
    ("posed", {"azimuths": "30, 90"}, "views: 2 azimuths and 6 elevations"),
    ("views", {"anchor_strength": 0.8, "previous_strength": 0.8}, "a sum of at most 1"),
    ("multiview", {"model": "bundled/mini-zero123"}, "`python -m stag4d download zero123plus-v1.1"),
    ("cameras", {"mode.keyframes": "0, 0\nleft"}, "keyframes: line 2 is 'left'"),
    ("cameras", {"num_cameras": 0}, "num_cameras: 0; expected 1 to 4096"),
    ("cameras", {"mode": "spiral"}, "expected one of turntable, orbit, keyframes, camera"),
    ("render", {"background": "white"}, "'white' is not a color"),
    ("render", {"time_mode": "loop"}, "expected one of all frames, ping-pong"),
]
OUTPUTS_REFUSED = [
    ("export", {"format": "usdz"}, "format: missing, or no option of this node"),
    ("export", {"filename_prefix": "../../x"}, "leads out of the output folder"),
    ("save", {"filename_prefix": "../../x"}, "leads out of the output folder"),
]


def answer_to(host, prompt):
    """Return the answer with which the host refuses a prompt."""
    with pytest.raises(urllib.error.HTTPError) as refusal:
        host.queue(prompt)
    text = refusal.value.read().decode()
    refusal.value.close()
    assert refusal.value.code == 400
    return json.loads(text)


@pytest.mark.parametrize(("name", "values", "message"), REFUSED)
def test_prompt_is_refused_before_any_node_runs(host, name, values, message):
    prompt = graph()
    prompt["fit2"] = {"class_type": "STAG4DOptimize", "inputs": {**FIT}}
    prompt["splat"] = {"class_type": "STAG4DToSplat", "inputs": {"scene": ["fit2", 0], "times": "all frames"}}
    prompt[name]["inputs"] |= values
    if name != "render" and name != "cameras":
        prompt = {key: node for key, node in prompt.items() if key != "evaluate"}
    else:
        prompt = {key: node for key, node in prompt.items() if key not in ("export", "save")}
    answer = answer_to(host, prompt)
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    details = [error["details"] for error in answer["node_errors"][name]["errors"]]
    assert any(message in text for text in details), details


@pytest.mark.parametrize(("name", "values", "message"), OUTPUTS_REFUSED)
def test_output_node_is_refused_before_any_node_runs(host, name, values, message):
    prompt = graph()
    prompt[name]["inputs"] |= values
    prompt = {
        key: node for key, node in prompt.items() if key == name or not key.startswith(("ex", "sa", "ev"))
    }
    prompt["sample"] = graph()["sample"]
    answer = answer_to(host, prompt)
    assert message in answer["node_errors"][name]["errors"][0]["details"]


def failure(host, prompt):
    """Run a prompt that fails; return the class of the node, the message, and the ids of executed nodes."""
    entry = host.run(prompt)
    (error,) = [message for kind, message in entry["status"]["messages"] if kind == "execution_error"]
    return error["node_type"], error["exception_message"], set(error["executed"])


def test_angles_for_another_number_of_views_fail_before_the_views_are_generated(host):
    prompt = graph()
    prompt["sample"]["inputs"]["seed"] = 7
    prompt["posed"]["inputs"] |= {"azimuths": "30, 90", "elevations": "30, -20"}
    del prompt["evaluate"]
    kind, message, executed = failure(host, prompt)
    assert kind == "STAG4DAnchoredMultiView"
    assert "views: 6 of each frame are generated, and azimuths of STAG4D Views from Images has 2" in message
    assert "views" not in executed


def test_anchor_frame_that_the_video_lacks_fails_before_the_video_is_made(host):
    prompt = graph()
    prompt["sample"]["inputs"]["seed"] = 6  # not of another test, whose results the host keeps
    prompt["views"]["inputs"]["anchor_frame"] = 4
    prompt["fit"]["inputs"]["views"] = ["views", 0]
    for name in ("evaluate", "posed"):
        del prompt[name]
    kind, message, executed = failure(host, prompt)
    assert kind == "STAG4DAnchoredMultiView"
    assert "anchor frame 4 of 4 frames; expected 0 to 3" in message
    assert executed <= {"multiview"}


def test_ground_truth_for_another_number_of_cameras_fails_before_the_fit(host):
    prompt = graph()
    for name in ("save", "export"):
        del prompt[name]
    kind, message, executed = failure(host, prompt)
    assert kind == "STAG4DEvaluate"
    assert "3 images are rendered, the number of cameras of STAG4D Camera Path, and truth has 4" in message
    assert "fit" not in executed


def test_valid_prompt_runs_with_the_models_own_settings(host):
    prompt = graph()
    prompt["cameras"]["inputs"] |= {"num_cameras": 4, "width": 48, "height": 48}
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert "PSNR" in entry["outputs"]["evaluate"]["text"][0]
