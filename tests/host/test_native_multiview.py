"""Multi-view models as ComfyUI's MODEL: its sampler against the package's, other patches, a whole graph."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from host_messages import executed

from tiny_models import make_multiview_folder

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.host

SAMPLE = {"name": "fish", "seed": 5, "num_frames": 2, "size": 48}
ROUNDING = 5e-5  # of float32 after some steps, relative to the largest value; measured: 6e-6
EFFECT = 40 * ROUNDING  # of a change that is to act


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model whose UNet has the published layout with a tenth of the channels."""
    return make_multiview_folder(tmp_path_factory.mktemp("native") / "tiny", native=True)


@pytest.fixture(scope="module")
def found(host, folder):
    """The results of ``compare_native_multiview.py`` by case."""
    script = Path(__file__).with_name("compare_native_multiview.py")
    result = subprocess.run(
        [host.python, script, ROOT, folder],
        cwd=host.folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    cases = {}
    for line in result.stdout.splitlines():
        if line.startswith("{"):
            cases |= json.loads(line)
    return cases


def test_sampler_of_comfyui_generates_the_package_s_views(found):
    values = dict(found["parity"])
    assert values.pop("effect_of_the_anchor") > EFFECT
    assert values.pop("rows_of_a_branch") == 4  # frames of one branch
    assert len(values) == 6
    assert max(values.values()) < ROUNDING


def test_trailing_sigmas_are_those_of_diffusers_for_every_step_count(found):
    assert len(found["sigmas"]) == 9
    assert max(found["sigmas"].values()) < 1e-5


def test_conditioning_and_decoded_views_are_the_package_s(found):
    values = found["encoders"]
    assert values["latent_is_right"]
    assert values["prompt"] < 1e-6
    assert values["views"] < 1e-4
    assert values["embeddings"] < 1e-2  # ComfyUI resizes by its own means, and computes in float16
    assert max(values["references"], values["blank"]) < 1e-4


def test_options_make_the_loader_s_model_of_another_one(found):
    assert found["options"]["published"] < ROUNDING
    assert found["options"]["rig_is_right"]


def test_lora_applies_before_and_after_as_if_merged(found):
    values = found["lora"]
    assert max(values["before"], values["after"]) < ROUNDING
    assert values["effect"] > EFFECT


def test_control_net_has_a_hint_for_each_frame(found):
    values = found["control_net"]
    assert values["frames_per_call"] < ROUNDING
    assert values["effect"] > EFFECT


def test_samplers_give_equal_frames_the_same_noise(found):
    values = dict(found["samplers"])
    assert values.pop("not_shared") > 0.1
    assert len(values) == 11
    assert max(values.values()) < ROUNDING


def test_other_patches_apply(found):
    values = found["patches"]
    assert values["override"] == pytest.approx(0, abs=ROUNDING)
    assert values["calls_of_the_override"] > 0
    assert values["token_merging"] > 0
    assert values["freeu"] > 0
    assert values["timestep_ranges"] == pytest.approx(0, abs=ROUNDING)
    assert values["patched_twice"] < ROUNDING  # the second patch replaces the first


def test_float8_weights_stay_small(found):
    assert 0 < found["float8"]["effect"] < 0.5
    assert found["float8"]["size"] < 0.3


def test_what_cannot_work_is_refused_by_name(found):
    values = found["refusals"]
    assert "HyperTile attends within tiles" in values["tiled"]
    assert values["patched_after"] == values["tiled"]
    assert "SelfAttentionGuidance reads" in values["sag"]
    assert "PerturbedAttentionGuidance replaces" in values["pag"]
    assert "context windows" in values["context_window"]
    assert "a conditioning without references" in values["no_references"]
    assert "a latent of 4 frames, and the conditioning of 2" in values["other_frames"]
    assert "anchor_frame: 9 of 4 frames" in values["no_such_frame"]
    assert values["cancelled"]


def test_bundled_model_runs_by_an_adapter(found):
    values = found["bundled"]
    assert max(values["one_step"], values["guided"]) < ROUNDING
    assert values["prompt"] < 1e-6
    assert max(values["references"], values["views"]) < 1e-4


def graph(**sampler):
    """Return a prompt that generates views with KSampler and fits them."""
    settings = {"seed": 0, "steps": 2, "cfg": 4.0, "denoise": 1.0, "scheduler": "sgm_uniform"}
    settings |= {"sampler_name": "euler_ancestral"} | sampler
    return {
        "1": {"class_type": "STAG4DSampleObject", "inputs": SAMPLE},
        "2": {
            "class_type": "STAG4DLoadMultiView",
            "inputs": {"model": "tiny-native", "dtype": "auto", "rig": "auto"},
        },
        "3": {
            "class_type": "STAG4DMultiViewConditioning",
            "inputs": {
                "clip_vision": ["2", 2],
                "vae": ["2", 3],
                "conditioning": ["2", 4],
                "rig": ["2", 5],
                "images": ["1", 0],
                "mask": ["1", 1],
                "share_noise": True,
            },
        },
        "4": {
            "class_type": "STAG4DAnchoredAttention",
            "inputs": {
                "model": ["2", 1],
                "anchor_frame": 0,
                "anchor_strength": 0.5,
                "previous_strength": 0.0,
                "share_noise": True,
                "share_reference_noise": False,
                "frames_per_call": 0,
            },
        },
        "5": {
            "class_type": "KSampler",
            "inputs": settings
            | {"model": ["4", 0], "positive": ["3", 0], "negative": ["3", 1], "latent_image": ["3", 2]},
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["2", 3]}},
        "7": {
            "class_type": "STAG4DViewsFromGrid",
            "inputs": {
                "grid": ["6", 0],
                "rig": ["2", 5],
                "reference": ["1", 0],
                "reference_mask": ["1", 1],
                "input_elevation": 0.0,
                "mattes": "border",
                "fps": 8.0,
            },
        },
        "8": {"class_type": "PreviewImage", "inputs": {"images": ["7", 1]}},
        "9": {
            "class_type": "STAG4DOptimize",
            "inputs": {"views": ["7", 0], "preset": "fast", "steps": 4, "size": 32, "seed": 0},
        },
        "10": {"class_type": "STAG4DSave", "inputs": {"scene": ["9", 0], "filename_prefix": "native-views"}},
    }


def test_graph_of_comfyui_s_sampler_gives_a_scene(host):
    make_multiview_folder(
        host.base / "models" / "diffusers" / "tiny-native", settings={"tile_size": 32}, native=True
    )
    entry = host.run(graph())
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert len(entry["outputs"]["8"]["images"]) == 6 * SAMPLE["num_frames"]
    assert list((host.base / "output").glob("native-views_*.safetensors"))
    # Only the sampler's settings have changed: neither the model nor the conditioning is computed anew.
    assert executed(host, graph(seed=1)) == {"5", "6", "7", "8", "9", "10"}
