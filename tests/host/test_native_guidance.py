"""Stable-Zero123 as ComfyUI loads it, as the guidance model of a fit; the weights are random."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from host_messages import executed

from tiny_models import make_guidance_folder

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.host, pytest.mark.slow]

SAMPLE = {"name": "fish", "seed": 5, "num_frames": 2, "size": 48}
FIT = {"views": ["1", 2], "preset": "fast", "steps": 6, "size": 48}


@pytest.fixture(scope="module")
def checkpoint(host):
    """The file name of a checkpoint of 0.8 GB in Stable-Zero123's own format."""
    path = host.base / "models" / "checkpoints" / "stable_zero123_random.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("make_native_checkpoint.py")
    subprocess.run([host.python, script, path], cwd=host.folder, check=True, capture_output=True, timeout=600)
    yield path.name
    path.unlink()


def graph(checkpoint, guidance):
    return {
        "1": {"class_type": "STAG4DSampleObject", "inputs": SAMPLE},
        "2": {"class_type": "ImageOnlyCheckpointLoader", "inputs": {"ckpt_name": checkpoint}},
        "3": {
            "class_type": "STAG4DGuidanceFromModel",
            "inputs": {"model": ["2", 0], "clip_vision": ["2", 1], "vae": ["2", 2]},
        },
        "4": {"class_type": "STAG4DLoadGuidance", "inputs": {"model": "tiny-zero123", "dtype": "auto"}},
        "5": {"class_type": "STAG4DOptimize", "inputs": FIT | {"seed": 0, "guidance": [guidance, 0]}},
        "6": {"class_type": "STAG4DSave", "inputs": {"scene": ["5", 0], "filename_prefix": "native"}},
    }


def test_guidance_from_model_and_from_folder_fit_the_same_views(host, checkpoint):
    make_guidance_folder(host.base / "models" / "diffusers" / "tiny-zero123")
    assert executed(host, graph(checkpoint, "3")) >= {"2", "3", "5"}
    assert executed(host, graph(checkpoint, "4")) >= {"4", "5"}
    scenes = sorted((host.base / "output").glob("native_*.safetensors"))
    assert len(scenes) == 2
    assert scenes[0].read_bytes() != scenes[1].read_bytes()


def test_native_guidance_predicts_the_noise_of_comfyuis_sampler(host, checkpoint):
    path = host.base / "models" / "checkpoints" / checkpoint
    script = Path(__file__).with_name("compare_native_guidance.py")
    result = subprocess.run(
        [host.python, script, path, ROOT],
        cwd=host.folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert len(found["errors"]) == 4
    assert max(found["errors"]) < 1e-4
    assert min(found["effects"]) > 3e-2  # of the opposite azimuth
