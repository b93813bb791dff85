"""The multi-view nodes inside a real ComfyUI: its memory management, previews, cancel, and on to a fit."""

from __future__ import annotations

import json
import time
import urllib.request
from contextlib import contextmanager

import pytest
from host_messages import executed, of_prompt
from safetensors import safe_open
from tiny_models import make_guidance_folder, make_multiview_folder

pytestmark = pytest.mark.host

SAMPLE = {"name": "fish", "seed": 5, "num_frames": 3, "size": 48}
LOAD = {"model": "tiny", "dtype": "auto", "rig": "auto"}
DRAW = {
    "multiview": ["2", 0], "images": ["1", 0], "mask": ["1", 1], "steps": 4, "cfg": 4.0, "seed": 0,
    "anchor_strength": 0.5, "anchor_frame": 0, "input_elevation": 0.0, "previous_strength": 0.0,
    "share_noise": True, "share_reference_noise": False, "mattes": "border", "fps": 8.0,
}  # fmt: skip
LOADED = "Requested to load STAG4DModel"


@pytest.fixture(scope="module", autouse=True)
def model(host):
    """A tiny model among the host's, whose steps still take a moment with many frames."""
    return make_multiview_folder(host.base / "models" / "diffusers" / "tiny", settings={"tile_size": 32})


@contextmanager
def weights_out_of_reach(folder):
    """Take the weights of a model's networks away for a while: who wants to load them again cannot."""
    files = list(folder.glob("*/*.safetensors"))
    assert files
    try:
        for file in files:
            file.rename(file.with_suffix(".away"))
        yield
    finally:
        for file in files:
            file.with_suffix(".away").rename(file)


def graph(draw=None, sample=None, load=None):
    """Return sample object, model, views of every frame and a preview of their grid."""
    return {
        "1": {"class_type": "STAG4DSampleObject", "inputs": SAMPLE | (sample or {})},
        "2": {"class_type": "STAG4DLoadMultiView", "inputs": LOAD | (load or {})},
        "3": {"class_type": "STAG4DAnchoredMultiView", "inputs": DRAW | (draw or {})},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 1]}},
    }


def units(data):
    """Return how much of the multi-view node's work a progress message reports."""
    return data["nodes"].get("3", {}).get("value", 0)


def free(host):
    """Ask the host to let go of all models and results."""
    body = json.dumps({"unload_models": True, "free_memory": True}).encode()
    request = urllib.request.Request(f"{host.url}/free", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30):
        pass


def times_loaded(host):
    return host.log.read_text(encoding="utf-8").count(LOADED)


def test_the_model_is_found_and_its_folder_is_a_choice(host):
    info = json.loads(host.get("/object_info/STAG4DLoadMultiView"))["STAG4DLoadMultiView"]
    assert "tiny" in str(info["input"]["required"]["model"])


def test_runs_in_a_row_load_the_weights_once_and_free_releases_them(host, model):
    free(host)
    before = times_loaded(host)
    assert executed(host, graph()) == {"1", "2", "3", "4"}
    again = graph(draw={"seed": 1})
    with weights_out_of_reach(model):
        assert executed(host, again) == {"3", "4"}
        assert executed(host, graph(load={"rig": "v1.2"})) == {"2", "3", "4"}  # with the same networks
        assert times_loaded(host) == before + 1
        free(host)
        time.sleep(2)  # it is done between prompts
        entry = host.run(again)
        assert entry["status"]["status_str"] == "error"
        assert "no weights; expected a file such as" in str(entry["status"]["messages"])
    assert executed(host, again) >= {"2", "3", "4"}
    assert times_loaded(host) == before + 2


def test_the_grid_is_shown_while_it_appears_and_reaches_the_preview(host):
    with host.listen() as messages:
        steps = list(of_prompt(messages, host.queue(graph(draw={"seed": 2}))))
    assert steps[-1][0] == "execution_success", steps[-1]
    assert max(units(data) for kind, data in steps if kind == "progress_state") == 3 * (4 + 2)
    assert any(kind == "picture" and b"JFIF" in data for kind, data in steps)


def test_a_cancel_frees_the_queue_within_a_step_and_the_same_prompt_goes_on(host):
    frames, steps = 24, 200  # a unit of progress: a frame is encoded, or goes through a diffusion step
    prompt = graph(draw={"seed": 3, "steps": steps}, sample={"num_frames": frames})
    with host.listen() as messages:
        pressed = 0
        for kind, data in (told := of_prompt(messages, host.queue(prompt))):
            if kind == "progress_state" and units(data) >= 4 * frames:
                pressed = units(data)
                host.interrupt()
                break
        reached = pressed
        for kind, data in told:
            reached = max(reached, units(data) if kind == "progress_state" else 0)
        assert kind == "execution_interrupted"
        (left,) = (host.base / "temp" / "stag4d").glob("unfinished_*.latents")
        with safe_open(left, "pt") as file:
            kept = frames * (1 + int(file.metadata()["step"]))
        assert reached <= kept <= pressed + frames  # at most the step that was being done came to its end
        first = None
        for kind, data in (told := of_prompt(messages, host.queue(prompt))):
            if kind == "progress_state" and units(data) > frames:
                first = units(data)
                host.interrupt()
                break
        assert list(told)[-1][0] == "execution_interrupted"
        assert first == kept + frames
    executed(host, graph())  # the next prompt runs


def test_views_go_on_to_a_fit_and_a_render(host):
    fit = {"views": ["3", 0], "preset": "fast", "steps": 10, "size": 32, "seed": 0}
    path = {
        "width": 48, "height": 48, "num_cameras": 3, "fovy": 49.1, "radius": 2.0, "mode": "turntable",
        "mode.elevation": 0.0, "mode.azimuth_start": 0.0, "mode.turns": 1.0,
    }  # fmt: skip
    render = {"scene": ["5", 0], "cameras": ["6", 0], "background": "#ffffff", "time_mode": "all frames"}
    prompt = graph() | {
        "5": {"class_type": "STAG4DOptimize", "inputs": fit},
        "6": {"class_type": "STAG4DCameraPath", "inputs": path},
        "7": {"class_type": "STAG4DRender", "inputs": render},
        "8": {"class_type": "PreviewImage", "inputs": {"images": ["7", 0]}},
    }
    assert executed(host, prompt) >= {"5", "7", "8"}
    assert len(host.entry(host.queue(prompt))["outputs"]["8"]["images"]) == 3


def test_mattes_from_another_node_replace_those_of_the_views(host):
    whole = {"mattes": "none"}
    chained = {
        "reference": ["1", 0], "reference_mask": ["1", 1], "views": ["3", 2], "views_mask": ["6", 0],
        "azimuths": "30, 90, 150, 210, 270, 330", "elevations": "30, -20, 30, -20, 30, -20", "fovy": 49.1,
        "radius": 2.0, "fps": 8.0, "input_elevation": 0.0,
    }  # fmt: skip
    fit = {"views": ["7", 0], "preset": "fast", "steps": 4, "size": 32, "seed": 0}
    prompt = graph(draw=whole) | {
        "6": {"class_type": "ImageToMask", "inputs": {"image": ["3", 2], "channel": "red"}},
        "7": {"class_type": "STAG4DViewsFromImages", "inputs": chained},
        "8": {"class_type": "STAG4DOptimize", "inputs": fit},
        "9": {"class_type": "STAG4DSave", "inputs": {"scene": ["8", 0], "filename_prefix": "multiview"}},
    }
    entry = host.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]


def test_two_fits_with_guidance_share_one_prior(host):
    prior = make_guidance_folder(host.base / "models" / "diffusers" / "tiny-zero123")
    fit = {"views": ["3", 0], "preset": "fast", "steps": 8, "size": 32, "guidance": ["5", 0]}
    prompt = graph(draw={"seed": 5}) | {
        "5": {"class_type": "STAG4DLoadGuidance", "inputs": {"model": "tiny-zero123", "dtype": "auto"}},
        "6": {"class_type": "STAG4DOptimize", "inputs": fit | {"seed": 0}},
        "7": {"class_type": "STAG4DOptimize", "inputs": fit | {"seed": 1}},
        "8": {"class_type": "STAG4DSave", "inputs": {"scene": ["6", 0], "filename_prefix": "guided"}},
        "9": {"class_type": "STAG4DSave", "inputs": {"scene": ["7", 0], "filename_prefix": "guided"}},
    }
    free(host)
    time.sleep(2)
    before = times_loaded(host)
    assert executed(host, prompt) >= {"5", "6", "7"}
    assert times_loaded(host) == before + 2  # the multi-view model and the prior, each once
    with weights_out_of_reach(prior):
        for node in ("6", "7"):
            prompt[node]["inputs"]["seed"] += 2
        assert executed(host, prompt) == {"6", "7", "8", "9"}
    assert times_loaded(host) == before + 2
