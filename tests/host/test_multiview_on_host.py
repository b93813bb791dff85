"""The multi-view nodes in a real ComfyUI: loading, previews, interrupt and resume, and a fit of views."""

from __future__ import annotations

import json

import pytest
from host_messages import executed, of_prompt
from safetensors import safe_open

from tiny_models import make_guidance_folder, make_multiview_folder

pytestmark = pytest.mark.host

SAMPLE = {"name": "fish", "seed": 5, "num_frames": 3, "size": 48}
LOAD = {"model": "tiny", "dtype": "auto", "rig": "auto"}
GENERATE = {
    "multiview": ["2", 0],
    "images": ["1", 0],
    "mask": ["1", 1],
    "steps": 4,
    "cfg": 4.0,
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
LOADED = "Requested to load STAG4DModel"


@pytest.fixture(scope="module", autouse=True)
def model(host):
    """The folder of a tiny multi-view model among ComfyUI's models."""
    return make_multiview_folder(host.base / "models" / "diffusers" / "tiny", settings={"tile_size": 32})


def graph(generate=None, sample=None, load=None):
    """Return a prompt of sample object, model, views of every frame and a preview of their grid."""
    return {
        "1": {"class_type": "STAG4DSampleObject", "inputs": SAMPLE | (sample or {})},
        "2": {"class_type": "STAG4DLoadMultiView", "inputs": LOAD | (load or {})},
        "3": {"class_type": "STAG4DAnchoredMultiView", "inputs": GENERATE | (generate or {})},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 1]}},
    }


def units(data):
    """Return the progress of the multi-view node in a progress message, 0 if it is about another node."""
    return data["nodes"].get("3", {}).get("value", 0)


def free(host):
    """Unload all models and clear the cache of results.

    ComfyUI does both after a prompt, at the latest after the one that is queued here; the next prompt starts
    afterwards.
    """
    host.post("/free", {"unload_models": True, "free_memory": True})
    entry = host.run({"1": {"class_type": "PreviewAny", "inputs": {"source": ""}}})
    assert entry["status"]["status_str"] == "success", entry["status"]


def num_loads(host):
    """Return how often ComfyUI has loaded a model of this pack onto its device so far."""
    return host.log.read_text(encoding="utf-8").count(LOADED)


def test_folder_of_the_model_is_an_option(host):
    info = json.loads(host.get("/object_info/STAG4DLoadMultiView"))["STAG4DLoadMultiView"]
    assert "tiny" in str(info["input"]["required"]["model"])


def test_weights_are_loaded_once_until_memory_is_freed(host):
    free(host)
    before = num_loads(host)
    assert executed(host, graph()) == {"1", "2", "3", "4"}
    again = graph(generate={"seed": 1})
    assert executed(host, again) == {"3", "4"}
    assert executed(host, graph(load={"rig": "v1.2"})) == {"2", "3", "4"}  # with the same networks
    assert num_loads(host) == before + 1
    free(host)
    assert executed(host, again) >= {"2", "3", "4"}
    assert num_loads(host) == before + 2


def test_progress_and_previews_of_the_grid_arrive(host):
    with host.listen() as messages:
        received = list(of_prompt(messages, host.queue(graph(generate={"seed": 2}))))
    assert received[-1][0] == "execution_success", received[-1]
    assert max(units(data) for kind, data in received if kind == "progress_state") == 3 * (4 + 2)
    assert any(kind == "image" and b"JFIF" in data for kind, data in received)


def test_interrupt_keeps_the_last_complete_step_and_the_same_prompt_resumes_there(host):
    frames, steps = 24, 1000  # a unit of progress: a frame is encoded, or goes through a diffusion step
    prompt = graph(generate={"seed": 3, "steps": steps}, sample={"num_frames": frames})
    with host.listen() as messages:
        reached = 0
        for kind, data in (received := of_prompt(messages, host.queue(prompt))):
            reached = max(reached, units(data) if kind == "progress_state" else 0)
            if reached >= 4 * frames:
                break
        host.interrupt()
        for kind, data in received:
            reached = max(reached, units(data) if kind == "progress_state" else 0)
        assert kind == "execution_interrupted"
        (checkpoint,) = (host.base / "temp" / "stag4d").glob("unfinished_*.latents")
        with safe_open(checkpoint, "pt") as file:
            kept = frames * (1 + int(file.metadata()["step"]))
        assert reached <= kept <= reached + frames  # the last step may be complete but not reported
        resumed_at = None
        for kind, data in (received := of_prompt(messages, host.queue(prompt))):
            if kind == "progress_state" and units(data) > frames:
                resumed_at = units(data)
                break
        host.interrupt()
        assert list(received)[-1][0] == "execution_interrupted"
        assert resumed_at == kept + frames
    executed(host, graph())  # the next prompt runs


def test_generated_views_are_fitted_and_rendered(host):
    fit = {"views": ["3", 0], "preset": "fast", "steps": 10, "size": 32, "seed": 0}
    path = {
        "width": 48,
        "height": 48,
        "num_cameras": 3,
        "fovy": 49.1,
        "radius": 2.0,
        "mode": "turntable",
        "mode.elevation": 0.0,
        "mode.azimuth_start": 0.0,
        "mode.turns": 1.0,
    }
    render = {"scene": ["5", 0], "cameras": ["6", 0], "background": "#ffffff", "time_mode": "all frames"}
    prompt = graph() | {
        "5": {"class_type": "STAG4DOptimize", "inputs": fit},
        "6": {"class_type": "STAG4DCameraPath", "inputs": path},
        "7": {"class_type": "STAG4DRender", "inputs": render},
        "8": {"class_type": "PreviewImage", "inputs": {"images": ["7", 0]}},
    }
    assert executed(host, prompt) >= {"5", "7", "8"}
    assert len(host.entry(host.queue(prompt))["outputs"]["8"]["images"]) == 3


def test_masks_from_another_node_replace_those_of_the_views(host):
    views = {
        "reference": ["1", 0],
        "reference_mask": ["1", 1],
        "views": ["3", 2],
        "views_mask": ["6", 0],
        "azimuths": "30, 90, 150, 210, 270, 330",
        "elevations": "30, -20, 30, -20, 30, -20",
        "fovy": 49.1,
        "radius": 2.0,
        "fps": 8.0,
        "input_elevation": 0.0,
    }
    fit = {"views": ["7", 0], "preset": "fast", "steps": 4, "size": 32, "seed": 0}
    prompt = graph(generate={"mattes": "none"}) | {
        "6": {"class_type": "ImageToMask", "inputs": {"image": ["3", 2], "channel": "red"}},
        "7": {"class_type": "STAG4DViewsFromImages", "inputs": views},
        "8": {"class_type": "STAG4DOptimize", "inputs": fit},
        "9": {"class_type": "STAG4DSave", "inputs": {"scene": ["8", 0], "filename_prefix": "multiview"}},
    }
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]


def test_two_fits_share_one_guidance_model(host):
    make_guidance_folder(host.base / "models" / "diffusers" / "tiny-zero123")
    fit = {"views": ["3", 0], "preset": "fast", "steps": 8, "size": 32, "guidance": ["5", 0]}
    prompt = graph(generate={"seed": 5}) | {
        "5": {"class_type": "STAG4DLoadGuidance", "inputs": {"model": "tiny-zero123", "dtype": "auto"}},
        "6": {"class_type": "STAG4DOptimize", "inputs": fit | {"seed": 0}},
        "7": {"class_type": "STAG4DOptimize", "inputs": fit | {"seed": 1}},
        "8": {"class_type": "STAG4DSave", "inputs": {"scene": ["6", 0], "filename_prefix": "guided"}},
        "9": {"class_type": "STAG4DSave", "inputs": {"scene": ["7", 0], "filename_prefix": "guided"}},
    }
    free(host)
    before = num_loads(host)
    assert executed(host, prompt) >= {"5", "6", "7"}
    assert num_loads(host) == before + 2  # the multi-view model and the guidance model
    for node in ("6", "7"):
        prompt[node]["inputs"]["seed"] += 2
    assert executed(host, prompt) == {"6", "7", "8", "9"}
    assert num_loads(host) == before + 2
