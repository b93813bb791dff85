"""A fit inside a real ComfyUI: progress and pictures, cancel and resume, the cache, splats, and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from host_messages import executed, of_prompt
from PIL import Image

from stag4d.data import write_views
from stag4d.toys import toy_views

pytestmark = pytest.mark.host

SAMPLE = {"name": "fish", "seed": 5, "num_frames": 4, "size": 48}
FIT = {"views": ["1", 2], "preset": "fast", "steps": 60, "size": 48, "seed": 0}
PATH = {
    "width": 64, "height": 64, "num_cameras": 2, "fovy": 49.1, "radius": 2.0, "mode": "turntable",
    "mode.elevation": 0.0, "mode.azimuth_start": 0.0, "mode.turns": 1.0,
}  # fmt: skip
RENDER = {"scene": ["2", 0], "cameras": ["3", 0], "background": "#ffffff", "time_mode": "all frames"}


def graph(fit=None, path=None):
    """Return sample object, fit, camera path, render and preview, with some widgets changed."""
    return {
        "1": {"class_type": "STAG4DSampleObject", "inputs": SAMPLE},
        "2": {"class_type": "STAG4DOptimize", "inputs": FIT | (fit or {})},
        "3": {"class_type": "STAG4DCameraPath", "inputs": PATH | (path or {})},
        "4": {"class_type": "STAG4DRender", "inputs": RENDER},
        "5": {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}},
    }


def fit_steps(data):
    """Return how many steps of the fit a progress message reports, 0 when it is of another node."""
    return data["nodes"].get("2", {}).get("value", 0)


def test_progress_and_pictures_arrive_while_the_fit_runs(host):
    with host.listen() as messages:
        steps = list(of_prompt(messages, host.queue(graph(fit={"steps": 400, "seed": 1}))))
    assert steps[-1][0] == "execution_success", steps[-1]
    values = [fit_steps(data) for kind, data in steps if kind == "progress_state"]
    assert max(values) == 400
    assert len(set(values)) > 3
    assert any(kind == "picture" and b"JFIF" in data for kind, data in steps)


def test_a_cancelled_fit_stops_and_the_same_prompt_goes_on_from_there(host):
    prompt = graph(fit={"steps": 3000, "seed": 2})
    with host.listen() as messages:
        reached = 0
        for kind, data in (steps := of_prompt(messages, host.queue(prompt))):
            if kind == "progress_state" and fit_steps(data) >= 100:
                host.interrupt()
                break
        for kind, data in steps:
            reached = max(reached, fit_steps(data) if kind == "progress_state" else 0)
        assert kind == "execution_interrupted"
        assert reached < 1500  # far from the end
        info = json.loads(host.get("/object_info/STAG4DLoad"))["STAG4DLoad"]
        assert any("[temp]" in name for name in str(info["input"]["required"]["file"]).split("'"))
        first = None
        for kind, data in (steps := of_prompt(messages, host.queue(prompt))):
            if kind == "progress_state" and fit_steps(data) > 0:
                first = fit_steps(data)
                host.interrupt()
                break
        assert list(steps)[-1][0] == "execution_interrupted"
        assert first >= 100
    assert executed(host, graph()) >= {"2", "4"}  # the next prompt runs


def test_a_repeated_prompt_runs_nothing_and_a_new_camera_only_renders(host):
    executed(host, graph(fit={"seed": 3}))
    assert executed(host, graph(fit={"seed": 3})) == set()
    assert executed(host, graph(fit={"seed": 3}, path={"mode.elevation": 20.0})) == {"3", "4", "5"}


def test_native_splats_have_the_silhouette_that_the_render_node_draws(host):
    camera = {
        "mode": "orbit", "mode.yaw": 40.0, "mode.pitch": 15.0, "mode.distance": 2.0, "target_x": 0.0,
        "target_y": 0.0, "target_z": 0.0, "roll": 0.0, "fov": 49.1, "zoom": 1.0, "camera_type": "perspective",
    }  # fmt: skip
    native = {
        "splat": ["6", 0], "width": 256, "height": 256, "frames": 1, "splat_scale": 1.0, "sharpen": 1.0,
        "headlight_shading": 0.0, "opacity_threshold": 0.0, "render_style": "color", "background": "#ffffff",
        "camera_info": ["7", 0],
    }  # fmt: skip
    path = {"width": 256, "height": 256, "num_cameras": 1, "mode": "camera", "mode.camera": ["7", 0]}
    prompt = graph(fit={"steps": 300, "seed": 4}) | {
        "3": {"class_type": "STAG4DCameraPath", "inputs": {"fovy": 49.1, "radius": 2.0} | path},
        "6": {"class_type": "STAG4DToSplat", "inputs": {"scene": ["2", 0], "times": "all frames"}},
        "7": {"class_type": "CreateCameraInfo", "inputs": camera},
        "8": {"class_type": "RenderSplat", "inputs": native},
    }
    for number, source in (("9", ["4", 1]), ("11", ["8", 1])):
        picture = str(int(number) + 1)
        prompt[number] = {"class_type": "MaskToImage", "inputs": {"mask": source}}
        prompt[picture] = {"class_type": "PreviewImage", "inputs": {"images": [number, 0]}}
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    ours, theirs = (masks(host, entry, node) for node in ("10", "12"))
    assert ours.shape == theirs.shape == (SAMPLE["num_frames"], 256, 256)
    for mine, their in zip(ours > 127, theirs > 127, strict=True):
        assert mine.mean() > 0.02
        assert (mine & their).sum() / (mine | their).sum() >= 0.95


def masks(host, entry, node):
    """Return the pictures that a preview node wrote, [F, H, W]."""
    files = [host.base / "temp" / image["filename"] for image in entry["outputs"][node]["images"]]
    return np.stack([np.asarray(Image.open(file).convert("L")) for file in files])


def test_bad_input_comes_back_as_the_nodes_own_sentence(host):
    views = {
        "reference": ["1", 0], "views": ["1", 0], "azimuths": "0, 90, 180", "elevations": "0, 0",
        "fovy": 49.1, "radius": 2.0, "fps": 8.0, "input_elevation": 0.0,
    }  # fmt: skip
    entry = host.run(
        {
            "1": {"class_type": "STAG4DSampleObject", "inputs": SAMPLE},
            "2": {"class_type": "STAG4DViewsFromImages", "inputs": views},
            "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}},
        }
    )
    (error,) = [data for kind, data in entry["status"]["messages"] if kind == "execution_error"]
    assert error["node_type"] == "STAG4DViewsFromImages"
    assert "3 azimuths" in error["exception_message"]
    assert "2 elevations" in error["exception_message"]


@pytest.mark.slow
def test_memory_does_not_grow_from_run_to_run(host):
    """The host's resident memory after run 20 is within 100 MB of that after run 3."""
    resident = []
    for seed in range(20):
        executed(host, graph(fit={"seed": 100 + seed, "steps": 100}))
        resident.append(host.resident_mb())
    assert resident[19] < resident[2] + 100, resident


def test_every_other_node_runs_too(host):
    """Views from a folder and from images, prepared frames, densification, a start, and the files."""
    write_views(host.base / "input" / "toy", toy_views(5, num_frames=2, size=48))
    directions = {"azimuths": "90", "elevations": "0", "fovy": 49.1, "radius": 2.0, "fps": 8.0}
    numbers = {"max_gaussians": 4000, "every": 5, "start": 0.0, "stop": 1.0, "clone_scale": 0.02}
    strategy = {"strategy": "adaptive", "strategy.top_percent": 5.0}
    square = {"num_frames": 2, "size": 48, "margin": 0.1, "invert_mask": False}
    export = {"filename_prefix": "tests/ball", "format": "ply", "format.moment": 0.5}
    prompt = {
        "1": {"class_type": "STAG4DLoadViews", "inputs": {"folder": "toy"}},
        "2": {"class_type": "STAG4DDensification", "inputs": numbers | strategy},
        "3": {
            "class_type": "STAG4DOptimize",
            "inputs": FIT | {"views": ["1", 0], "steps": 20, "densification": ["2", 0]},
        },
        "4": {"class_type": "STAG4DOptimize", "inputs": FIT | {"views": ["1", 0], "scene": ["3", 0]}},
        "5": {"class_type": "STAG4DExport", "inputs": export | {"scene": ["4", 0]}},
        "6": {"class_type": "File3DToSplat", "inputs": {"model_3d": ["5", 0]}},
        "7": {"class_type": "STAG4DOptimize", "inputs": FIT | {"views": ["9", 0], "splat": ["6", 0]}},
        "8": {"class_type": "STAG4DPrepareFrames", "inputs": square | {"images": ["1", 1]}},
        "9": {
            "class_type": "STAG4DViewsFromImages",
            "inputs": directions | {"reference": ["8", 0], "views": ["8", 0], "input_elevation": 0.0},
        },
        "10": {"class_type": "STAG4DSave", "inputs": {"scene": ["7", 0], "filename_prefix": "tests/scene"}},
        "11": {"class_type": "STAG4DEvaluate", "inputs": {"images": ["8", 0], "truth": ["8", 0]}},
    }
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert "100.0" in entry["outputs"]["11"]["text"][0]  # the frames against themselves
    written = {path.name for path in (host.base / "output" / "tests").iterdir()}
    assert written == {"ball_00001_.ply", "scene_00001_.safetensors"}
