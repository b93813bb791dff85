"""Damaged model folders: each is read, or refused by name, in bounded memory and time."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stag4d.diffusion import load_guidance_model, load_multiview_model
from stag4d.diffusion.folders import reading

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "support" / "damaged_models.py"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
CLIP_PROCESSOR = "feature_extractor_clip/preprocessor_config.json"
SCHEDULER = "scheduler/scheduler_config.json"
TOKENS = "tokenizer/tokenizer_config.json"

needs_limits = pytest.mark.skipif(os.name == "nt", reason="memory limits need a POSIX system")


@pytest.fixture
def folder(published, tmp_path):
    """A model folder that a test may damage."""
    return shutil.copytree(published, tmp_path / "zero123plus")


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        ("unet/config.json", {"layers_per_block": 10**9}, "more layers than there are weights"),
        ("unet/config.json", {"block_out_channels": [8, 2**18]}, "describes [0-9]+ weights"),
        ("vae/config.json", {"block_out_channels": [2**18, 8]}, "describes [0-9]+ weights"),
        ("vision_encoder/config.json", {"hidden_size": 2**30}, "describes [0-9]+ weights"),
        ("text_encoder/config.json", {"num_hidden_layers": 10**9}, "more layers than there are weights"),
        ("text_encoder/config.json", {"vocab_size": 2**40}, "describes [0-9]+ weights"),
        (SCHEDULER, {"num_train_timesteps": 10**12}, "num_train_timesteps is 1000000000000; expected 1 to"),
        (SCHEDULER, {"trained_betas": [2.0, 0.1]}, "cannot be read"),
        (SCHEDULER, {"beta_end": 5.0}, "alphas are not between 0 and 1"),
        (CLIP_PROCESSOR, {"crop_size": {"height": 10**6, "width": 10**6}}, "expected at most 2048 pixels"),
        (CLIP_PROCESSOR, {"size": 10**9}, "expected at most 2048 pixels"),
        (CLIP_PROCESSOR, {"size": [10**9, 10**9]}, "expected at most 2048 pixels"),
        ("unet/config.json", {"transformer_layers_per_block": [1, [10**9]]}, "more layers than there are"),
        (TOKENS, {"model_max_length": 10**30}, "model_max_length is 10+; expected 7"),
        ("model_index.json", {"stag4d": {"tile_size": 10**9}}, "expected at most"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_sizes_beyond_the_weights_and_limits_are_refused_before_they_are_allocated(
    folder, file, values, words
):
    change(folder / file, **values)
    with pytest.raises(ValueError, match=words):
        load_multiview_model(folder, dtype=torch.float16)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        (
            "unet/config.json",
            {"_class_name": "AutoencoderKL"},
            "describes a AutoencoderKL; expected a UNet2D",
        ),
        (
            "vae/config.json",
            {"_class_name": ["a", "b", "c"]},
            "_class_name is .*; expected the name of a class",
        ),
        ("unet/config.json", {"quantization_config": {"load_in_8bit": True}}, "the weights are quantized"),
        ("unet/config.json", {"attention_head_dim": [-2, 4]}, "unet: its configuration cannot be read"),
        ("unet/config.json", {"norm_eps": 1e999}, "holds NaN or infinity; expected finite numbers"),
        ("vae/config.json", {"scaling_factor": 0.0}, "vae: its configuration cannot be read"),
        (
            CLIP_PROCESSOR,
            {"crop_size": 24, "size": 24},
            "makes images of 24 x 24 pixels; expected .* 28 pixels",
        ),
        (CLIP_PROCESSOR, {"image_std": [0, 0, 0]}, "feature_extractor_clip"),
        ("tokenizer/vocab.json", {"<|startoftext|>": 400}, "tokens from 1 to 400; expected 0 to 3"),
        (SCHEDULER, {"prediction_type": ["epsilon"]}, "prediction_type is .*; expected one of"),
    ],
    ids=str,
)
def test_values_that_do_not_fit_are_refused_by_name(folder, file, values, words):
    change(folder / file, **values)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(folder))}.*{words}"):
        load_multiview_model(folder)


@pytest.mark.parametrize("size", [0, -8, 10**9, 8.5, "8", [8, 8], None, True])
def test_sample_size_that_is_no_number_of_pixels_is_refused(guidance_folder, tmp_path, size):
    folder = shutil.copytree(guidance_folder, tmp_path / "model")
    change(folder / "unet" / "config.json", sample_size=size)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(folder))}.*(sample_size|cannot be read)"):
        load_guidance_model(folder)


def test_settings_of_transformers_in_a_configuration_have_no_effect(folder, model):
    """They could name code or weights outside of the folder."""
    for name in ("text_encoder", "vision_encoder"):
        change(
            folder / name / "config.json",
            _attn_implementation="owner/kernel",
            auto_map={"AutoModel": "owner/repository--module.Class"},
            torch_dtype="float99",
        )
    assert load_multiview_model(folder).fingerprint() == model.fingerprint()


class PanicException(BaseException):
    """What a library in Rust raises where it panics."""


@pytest.mark.parametrize(
    "error",
    [
        IndexError("list index out of range"),
        RecursionError("too deep"),
        AssertionError(),
        ZeroDivisionError("zero"),
        KeyError("a"),
        NotImplementedError("x"),
        OverflowError("large"),
        ImportError("none"),
        PanicException("index"),
    ],
    ids=repr,
)
def test_any_error_of_a_library_becomes_one_that_names_the_folder(tmp_path, error):
    reason = re.escape(str(error) or "AssertionError")
    with pytest.raises(
        ValueError, match=rf"^{re.escape(str(tmp_path))}: the files cannot be read \({reason}\);"
    ):
        with reading(tmp_path, "the files"):
            raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), MemoryError("8 GB")], ids=repr)
def test_interrupts_and_lack_of_memory_are_raised_unchanged(tmp_path, error):
    with pytest.raises(type(error)) as caught, reading(tmp_path, "the files"):
        raise error
    assert caught.value is error


def test_deeply_nested_and_very_large_files_are_refused(folder, monkeypatch):
    path = folder / "unet" / "config.json"
    path.write_text('{"a": ' + "[" * 60 + "]" * 60 + "}")
    with pytest.raises(ValueError, match="is nested more than 50 levels deep"):
        load_multiview_model(folder)
    monkeypatch.setattr("stag4d.diffusion.json_files.MAX_BYTES", 100)
    with pytest.raises(ValueError, match=r"model_index\.json: has [0-9]+ bytes; expected .* of at most 100"):
        load_multiview_model(folder)


def read_damaged(kind, seed, count):
    """Read damaged files in a process of its own; fails with the last file and the traceback."""
    command = [sys.executable, str(PROGRAM), kind, str(seed), str(count)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    files = done.stdout.splitlines()
    assert done.returncode == 0, f"{files[-1:]}\n{done.stderr[-3000:]}"
    assert len(files) == count


@needs_limits
@pytest.mark.parametrize(("kind", "count"), [("multiview", 150), ("guidance", 100)])
def test_damaged_files_are_read_or_refused_by_name(kind, count):
    read_damaged(kind, seed=1, count=count)


@needs_limits
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_damaged_files_are_read_or_refused_by_name(seed):
    read_damaged(("multiview", "guidance")[seed % 2], seed=100 + seed, count=1000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_and_a_folder_in_place_of_the_index_are_refused(folder):
    index = folder / "model_index.json"
    index.unlink()
    os.mkfifo(index)
    with pytest.raises(ValueError, match=r"model_index\.json: is a pipe, socket or device; expected a"):
        load_multiview_model(folder)
    index.unlink()
    index.mkdir()
    with pytest.raises(ValueError, match=r"model_index\.json: is a folder; expected a"):
        load_multiview_model(folder)
