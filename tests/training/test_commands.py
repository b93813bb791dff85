"""The commands in training/README.md: the scripts accept them, and they produce models that load."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stag4d.diffusion import load_guidance_model, load_multiview_model
from training import toys

README = Path(__file__).parents[2] / "training" / "README.md"
COMMANDS = re.findall(
    r"^    (?:python|torchrun .*?) -m (training\.\w+) +(.*)$", README.read_text(), re.MULTILINE
)


STEPS = dict(re.findall(r"^\| (\w+) \| ([\d,]+) \| \d", README.read_text(), re.MULTILINE))


class ParsedError(Exception):
    """Raised with the parsed options of a command line."""


@pytest.mark.parametrize(("module", "words"), COMMANDS, ids=[module for module, _ in COMMANDS])
def test_script_accepts_the_documented_command(module, words, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_only(parser, arguments=None, namespace=None):
        raise ParsedError(parse(parser, shlex.split(words), namespace))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    with pytest.raises(ParsedError) as parsed:
        importlib.import_module(module).main()
    (options,) = parsed.value.args
    name = module.removeprefix("training.")
    if name in STEPS and options.steps > 2:  # a run of two steps only writes the encoder
        assert f"{options.steps:,}" == STEPS[name]


def test_table_lists_the_steps_of_every_training_script():
    assert set(STEPS) == {"autoencoder", "vision", "multiview", "outlines", "guidance"}


def test_every_script_has_a_documented_command():
    scripts = {path.stem for path in README.parent.glob("*.py") if "def main()" in path.read_text()}
    assert {f"training.{script}" for script in scripts} == {module for module, _ in COMMANDS}


def test_documented_commands_produce_models_that_load(tmp_path, monkeypatch):
    monkeypatch.setattr(toys, "TOYS_PER_SHARD", 2)
    multiview = next(words for module, words in COMMANDS if module == "training.multiview")
    continued = multiview.replace("--vision work/vision", "--begin-with work/multiview/mini-zero123plus")
    commands = [*COMMANDS, ("training.multiview", f"{continued}_continued")]

    def run(module: str, words: str) -> None:
        words = re.sub(r" --steps \d+", "", words.replace("work/", f"{tmp_path.as_posix()}/"))
        steps = [] if module == "training.toys" else ["--steps", "1"]
        monkeypatch.setattr("sys.argv", [module, *shlex.split(words), *steps])
        importlib.import_module(module).main()

    for module, words in commands:
        run(module, words)
    for folder in ("multiview", "multiview_continued"):
        model = load_multiview_model(tmp_path / folder / "mini-zero123plus")
        assert model.grid.tile_size == 64
        assert all(torch.isfinite(value).all() for value in model.unet.state_dict().values())
    load_guidance_model(tmp_path / "guidance" / "mini-zero123")
    encoder, shipped = (
        load_file(tmp_path / f"{folder}/vae/diffusion_pytorch_model.safetensors")
        for folder in ("encoder", "multiview/mini-zero123plus")
    )
    for name in (name for name in encoder if name.startswith("encoder.")):  # same for all toys
        torch.testing.assert_close(shipped[name].float(), encoder[name], rtol=1e-2, atol=1e-2)
    sheets = {path.parent.name for path in tmp_path.glob("*/sheet_000001.png")}
    models = {"multiview", "multiview_continued", "guidance"}
    assert sheets == models | {"encoder", "autoencoder"}
    run(*commands[4])  # resumes, although it has written its decoder to the model's folder
    unet = "multiview/mini-zero123plus/unet/diffusion_pytorch_model"
    for name in ("vision/vision", "outlines/outlines", unet):
        file = tmp_path / f"{name}.safetensors"
        save_file({name: 2 * weight for name, weight in load_file(file).items()}, file, {"format": "pt"})
    for module, words in commands[4:]:
        with pytest.raises(ValueError, match=r"holds a run with (--vision|--outlines|--multiview|networks)"):
            run(module, words)
