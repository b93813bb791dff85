"""A fit in a real ComfyUI: progress, previews, interrupt and resume, the cache, splats, and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from host_messages import executed, of_prompt
from PIL import Image
from waiting import wait_until

from stag4d.data import write_views
from stag4d.toys import toy_views

pytestmark = pytest.mark.host

SAMPLE = {"name": "fish", "seed": 5, "num_frames": 4, "size": 48}
ENDLESS = 100_000  # steps, far more than are done before a fit is interrupted
FIT = {"views": ["1", 2], "preset": "fast", "steps": 60, "size": 48, "seed": 0}
PATH = {
    "width": 64,
    "height": 64,
    "num_cameras": 2,
    "fovy": 49.1,
    "radius": 2.0,
    "mode": "turntable",
    "mode.elevation": 0.0,
    "mode.azimuth_start": 0.0,
    "mode.turns": 1.0,
}
RENDER = {"scene": ["2", 0], "cameras": ["3", 0], "background": "#ffffff", "time_mode": "all frames"}


def graph(fit=None, path=None):
    """Return a prompt of sample object, fit, camera path, render and preview, with some inputs replaced."""
    return {
        "1": {"class_type": "STAG4DSampleObject", "inputs": SAMPLE},
        "2": {"class_type": "STAG4DOptimize", "inputs": FIT | (fit or {})},
        "3": {"class_type": "STAG4DCameraPath", "inputs": PATH | (path or {})},
        "4": {"class_type": "STAG4DRender", "inputs": RENDER},
        "5": {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}},
    }


def fit_steps(data):
    """Return the step of the fit in a progress message, 0 if the message is about another node."""
    return data["nodes"].get("2", {}).get("value", 0)


def test_progress_ends_at_the_number_of_steps(host):
    with host.listen() as messages:
        received = list(of_prompt(messages, host.queue(graph(fit={"steps": 30, "seed": 1}))))
    assert received[-1][0] == "execution_success", received[-1]
    assert max(fit_steps(data) for kind, data in received if kind == "progress_state") == 30


def test_progress_and_previews_arrive_while_the_fit_runs(host):
    with host.listen() as messages:
        reported, has_preview = set(), False
        received = of_prompt(messages, host.queue(graph(fit={"steps": ENDLESS, "seed": 1})))
        for kind, data in received:
            if kind == "progress_state":
                reported.add(fit_steps(data))
            has_preview |= kind == "image" and b"JFIF" in data
            if has_preview and len(reported) > 3:
                break
        assert has_preview
        assert len(reported) > 3
        host.interrupt()
        assert list(received)[-1][0] == "execution_interrupted"


def test_sample_object_previews_its_images_and_can_be_interrupted(host):
    sample = {"name": "any", "seed": 2, "num_frames": 64, "size": 512}
    prompt = {
        "1": {"class_type": "STAG4DSampleObject", "inputs": sample},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    with host.listen() as messages:
        has_preview = False
        received = of_prompt(messages, host.queue(prompt))
        for kind, data in received:
            has_preview |= kind == "image" and b"JFIF" in data
            if has_preview:
                break
        assert has_preview
        host.interrupt()
        assert list(received)[-1][0] == "execution_interrupted"


def test_interrupted_fit_is_resumed_by_the_same_prompt(host):
    prompt = graph(fit={"steps": ENDLESS, "seed": 2})
    earlier = temp_files(host)
    with host.listen() as messages:
        for kind, data in (received := of_prompt(messages, host.queue(prompt))):
            if kind == "progress_state" and fit_steps(data) >= 100:
                break
        host.interrupt()
        assert list(received)[-1][0] == "execution_interrupted"
        unfinished = temp_files(host) - earlier
        wait_until(lambda: unfinished & listed_files(host), what="the unfinished scene in STAG4D Load Scene")
        resumed_at = None
        for kind, data in (received := of_prompt(messages, host.queue(prompt))):
            if kind == "progress_state" and fit_steps(data) > 0:
                resumed_at = fit_steps(data)
                break
        host.interrupt()
        assert list(received)[-1][0] == "execution_interrupted"
        assert resumed_at >= 100
    assert executed(host, graph()) >= {"2", "4"}  # the next prompt runs


def temp_files(host):
    """Return the files of the temp folder under the names that STAG4D Load Scene lists them by."""
    folder = host.base / "temp"
    return {f"{path.relative_to(folder).as_posix()} [temp]" for path in folder.rglob("*.*")}


def listed_files(host):
    """Return the options of STAG4D Load Scene, which searches the folders at most every two seconds."""
    info = json.loads(host.get("/object_info/STAG4DLoad"))["STAG4DLoad"]
    _, settings = info["input"]["required"]["file"]
    return set(settings["options"])


def test_repeated_prompt_is_cached_and_a_new_camera_only_renders(host):
    executed(host, graph(fit={"seed": 3}))
    assert executed(host, graph(fit={"seed": 3})) == set()
    assert executed(host, graph(fit={"seed": 3}, path={"mode.elevation": 20.0})) == {"3", "4", "5"}


def test_comfyui_renders_the_splats_with_the_silhouette_of_stag4d_render(host):
    camera = {
        "mode": "orbit",
        "mode.yaw": 40.0,
        "mode.pitch": 15.0,
        "mode.distance": 2.0,
        "target_x": 0.0,
        "target_y": 0.0,
        "target_z": 0.0,
        "roll": 0.0,
        "fov": 49.1,
        "zoom": 1.0,
        "camera_type": "perspective",
    }
    native = {
        "splat": ["6", 0],
        "width": 256,
        "height": 256,
        "frames": 1,
        "splat_scale": 1.0,
        "sharpen": 1.0,
        "headlight_shading": 0.0,
        "opacity_threshold": 0.0,
        "render_style": "color",
        "background": "#ffffff",
        "camera_info": ["7", 0],
    }
    path = {"width": 256, "height": 256, "num_cameras": 1, "mode": "camera", "mode.camera": ["7", 0]}
    prompt = graph(fit={"steps": 300, "seed": 4}) | {
        "3": {"class_type": "STAG4DCameraPath", "inputs": {"fovy": 49.1, "radius": 2.0} | path},
        "6": {"class_type": "STAG4DToSplat", "inputs": {"scene": ["2", 0], "times": "all frames"}},
        "7": {"class_type": "CreateCameraInfo", "inputs": camera},
        "8": {"class_type": "RenderSplat", "inputs": native},
    }
    for number, source in (("9", ["4", 1]), ("11", ["8", 1])):
        preview = str(int(number) + 1)
        prompt[number] = {"class_type": "MaskToImage", "inputs": {"mask": source}}
        prompt[preview] = {"class_type": "PreviewImage", "inputs": {"images": [number, 0]}}
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    ours, theirs = (masks(host, entry, node) for node in ("10", "12"))
    assert ours.shape == theirs.shape == (SAMPLE["num_frames"], 256, 256)
    for our_mask, their_mask in zip(ours > 127, theirs > 127, strict=True):
        assert our_mask.mean() > 0.02
        assert (our_mask & their_mask).sum() / (our_mask | their_mask).sum() >= 0.95


def masks(host, entry, node):
    """Return the grayscale images that a preview node wrote, [F, H, W]."""
    files = [host.base / "temp" / image["filename"] for image in entry["outputs"][node]["images"]]
    return np.stack([np.asarray(Image.open(file).convert("L")) for file in files])


def test_invalid_input_fails_with_the_message_of_the_node(host):
    views = {
        "reference": ["1", 0],
        "views": ["1", 0],
        "azimuths": "0, 90, 180",
        "elevations": "0, 0, 0",
        "fovy": 49.1,
        "radius": 2.0,
        "fps": 8.0,
        "input_elevation": 0.0,
    }
    entry = host.run(
        {
            "1": {"class_type": "STAG4DSampleObject", "inputs": SAMPLE},
            "2": {"class_type": "STAG4DViewsFromImages", "inputs": views},
            "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}},
        }
    )
    (error,) = [data for kind, data in entry["status"]["messages"] if kind == "execution_error"]
    assert error["node_type"] == "STAG4DViewsFromImages"
    assert f"images for {SAMPLE['num_frames']} frames and 3 views" in error["exception_message"]


@pytest.mark.slow
def test_memory_does_not_grow_over_twenty_runs(host):
    """ComfyUI's resident memory after run 20 is within 100 MB of that after run 3."""
    resident = []
    for seed in range(20):
        executed(host, graph(fit={"seed": 100 + seed, "steps": 100}))
        resident.append(host.resident_mb())
    assert resident[19] < resident[2] + 100, resident


def test_remaining_nodes_run(host):
    """Views from a folder and from images, prepared frames, densification, an initial scene, and files."""
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


def test_splats_and_exported_files_become_scenes_again(host):
    """Older prompts lack ``spz_version`` of the export, ``fps`` and ``frames`` of the loader."""
    write_views(host.base / "input" / "toy", toy_views(5, num_frames=2, size=48))
    export = {"scene": ["4", 0], "filename_prefix": "imports/ball"}
    moment = {"format.moment": 0.5}
    prompt = {
        "1": {"class_type": "STAG4DLoadViews", "inputs": {"folder": "toy"}},
        "2": {"class_type": "STAG4DOptimize", "inputs": FIT | {"views": ["1", 0], "steps": 20}},
        "3": {"class_type": "STAG4DToSplat", "inputs": {"scene": ["2", 0], "times": "all frames"}},
        "4": {"class_type": "STAG4DFromSplat", "inputs": {"splat": ["3", 0], "fps": 8.0}},
        "5": {"class_type": "STAG4DExport", "inputs": export | {"format": "clip"}},
        "6": {"class_type": "STAG4DExport", "inputs": export | {"format": "ply sequence"}},
        "7": {"class_type": "STAG4DExport", "inputs": export | {"format": "splat"} | moment},
        "8": {"class_type": "File3DToSplat", "inputs": {"model_3d": ["7", 0]}},
        "9": {"class_type": "STAG4DFromSplat", "inputs": {"splat": ["8", 0], "fps": 8.0}},
        "10": {
            "class_type": "STAG4DExport",
            "inputs": export | {"scene": ["9", 0], "format": "spz"} | moment,
        },
        "11": {
            "class_type": "STAG4DExport",
            "inputs": export | {"format": "spz", "format.spz_version": "2"} | moment,
        },
        "12": {"class_type": "File3DToSplat", "inputs": {"model_3d": ["11", 0]}},
        "13": {"class_type": "PreviewAny", "inputs": {"source": ["12", 0]}},
    }
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    (clip,) = (host.base / "output" / "imports").glob("*.s4d")
    (sequence,) = (path for path in (host.base / "output" / "imports").iterdir() if path.is_dir())
    preview = {"width": 64, "height": 64}
    for name in (clip.name, f"{sequence.name}/"):
        load = {"file": f"imports/{name} [output]"}
        entry = host.run(
            {
                "1": {"class_type": "STAG4DLoad", "inputs": load},
                "2": {"class_type": "STAG4DPreview", "inputs": preview | {"scene": ["1", 0]}},
            }
        )
        assert entry["status"]["status_str"] == "success", entry["status"]
