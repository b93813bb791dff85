"""``--perceptual`` of ``stag4d fit`` and ``stag4d run``: the loss in log and report, resuming, refusals."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from random_lpips import alexnet_files
from small_fit import small_config, small_view_set

from stag4d import cli
from stag4d.cli import main
from stag4d.data import write_views
from stag4d.optimization import Trainer
from stag4d.progress import Interrupted
from tiny_models import make_multiview_folder

SIZE = 32  # pixels; AlexNet needs 31


@pytest.fixture(scope="module")
def views(tmp_path_factory) -> Path:
    """A view folder: three frames with six posed views each."""
    folder = tmp_path_factory.mktemp("views")
    write_views(folder, small_view_set(size=SIZE))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> list[str]:
    """Options with random weights of LPIPS on AlexNet, in two files as published."""
    files = alexnet_files(tmp_path_factory.mktemp("weights"))
    return [word for file in files for word in ("--perceptual", str(file))]


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Make every preset small, so that a fit takes a fraction of a second."""

    def small(name: str, *, steps: int | None, size: int | None, seed: int) -> object:
        return replace(small_config(steps=steps or 4, size=size or SIZE, seed=seed), preset=name)

    monkeypatch.setattr(cli.fit_options, "preset", small)


def refused(capsys: pytest.CaptureFixture, *words: object) -> str:
    """Run a command that must fail; returns its one line."""
    assert main([*map(str, words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.strip().splitlines()[-1]


def test_the_loss_is_in_log_and_reports(views, weights, tmp_path, caplog):
    with caplog.at_level("INFO"):
        assert main(["fit", str(views), "-o", str(tmp_path), *weights]) == 0
    assert "perceptual loss: LPIPS with alexnet, weight 0.1." in caplog.text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["losses"]["perceptual"] > 0
    assert len(report["history"]["losses"]["perceptual"]) == 4
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    legend = re.search(r'<ul class="legend">(.*?)</ul>', page)[1]
    assert set(re.findall(r"</span>(\w+)</li>", legend)) >= {"total", "color", "perceptual"}


def test_without_weights_there_is_no_such_loss(views, tmp_path, caplog):
    with caplog.at_level("INFO"):
        assert main(["fit", str(views), "-o", str(tmp_path)]) == 0
    assert "perceptual" not in caplog.text
    report = json.loads((tmp_path / "report.json").read_text())
    assert "perceptual" not in report["history"]["losses"]


def test_its_weight_is_an_option(views, weights, tmp_path):
    losses = []
    for words in ([], ["--perceptual-weight", "0.2"]):
        assert main(["fit", str(views), "-o", str(tmp_path), "--steps", "1", *weights, *words]) == 0
        losses.append(json.loads((tmp_path / "report.json").read_text())["losses"])
    assert losses[1]["perceptual"] == pytest.approx(2 * losses[0]["perceptual"], rel=1e-5)
    assert losses[1]["color"] == losses[0]["color"]


def test_an_interrupted_fit_resumes_to_the_same_scene_with_copies_of_the_weights(
    views, weights, tmp_path, monkeypatch, capsys
):
    command = ["fit", str(views), "--steps", "6"]
    assert main([*command, "-o", str(tmp_path / "whole"), *weights]) == 0
    out = tmp_path / "parts"
    advance = Trainer._advance

    def stop_at_3(trainer: Trainer, *arguments: object) -> object:
        if trainer.step == 3:
            raise Interrupted
        return advance(trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_advance", stop_at_3)
        assert main([*command, "-o", str(out), *weights]) == 130
    one = tmp_path / "one.pth"
    torch.save({**torch.load(weights[1]), **torch.load(weights[3])}, one)
    capsys.readouterr()
    other = alexnet_files(tmp_path / "other", seed=1)
    line = refused(capsys, *command, "-o", out, "--resume", "--perceptual", other[0], *weights[2:])
    assert "it belongs to other views or settings; resume with the same ones" in line
    assert main([*command, "-o", str(out), "--resume", "--perceptual", str(one)]) == 0
    scenes = [(folder / "scene.safetensors").read_bytes() for folder in (tmp_path / "whole", out)]
    assert scenes[0] == scenes[1]


def test_wrong_options_and_files_are_refused_before_the_fit(views, weights, tmp_path, capsys):
    command = ["fit", views, "-o", tmp_path / "out"]
    line = refused(capsys, *command, "--perceptual-weight", "0.2")
    assert line.endswith(
        "--perceptual-weight: no effect without weights of LPIPS; give --perceptual, or omit it."
    )
    for value in ("-1", "nan", "inf"):
        line = refused(capsys, *command, *weights, f"--perceptual-weight={value}")
        assert f"losses: perceptual is {float(value)}; expected a finite number from 0." in line
    line = refused(capsys, *command, "--perceptual", tmp_path / "none.pth")
    assert f"LPIPS weights {tmp_path / 'none.pth'}: no such file; expected a file of weights" in line
    line = refused(capsys, *command, *weights[:2])
    assert "lin0.model.1.weight is missing; expected the shape [1, 64, 1, 1], of the package lpips." in line
    torch.save({"alpha": torch.zeros(1, 1475, 1, 1), "beta": torch.zeros(1, 1475, 1, 1)}, tmp_path / "d.pt")
    line = refused(capsys, *command, "--perceptual", tmp_path / "d.pt")  # the layout of DISTS
    assert f"LPIPS weights {tmp_path / 'd.pt'}: no weights of LPIPS; expected features.0.weight" in line
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    line = refused(capsys, *command, "--perceptual", tmp_path / "image.png")
    assert "image.png: refused" in line
    assert not (tmp_path / "out").exists()


def test_images_that_are_too_small_are_refused(views, weights, tmp_path, capsys):
    line = refused(capsys, "fit", views, "-o", tmp_path / "out", "--size", "24", *weights)
    assert (
        "perceptual loss: renders of 24x24 pixels; expected 31 pixels or more on each side, for alexnet; "
        "raise the size of the fit, or leave out the perceptual loss." in line
    )


def test_run_has_the_loss_and_refuses_small_images_before_it_generates_views(weights, tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    for frame in range(2):
        pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
        pixels[6:26, 4 + 2 * frame : 22 + 2 * frame] = (220, 90 * frame, 30, 255)
        Image.fromarray(pixels).save(source / f"{frame}.png")
    model = make_multiview_folder(tmp_path / "model")
    command = ["run", source, "-o", tmp_path / "out", "--multiview-model", model, "--view-steps", "2"]
    line = refused(capsys, *command, "--size", "24", *weights)
    assert "perceptual loss: renders of 24x24 pixels; expected 31" in line
    assert not (tmp_path / "out" / "views").exists()
    assert main([*map(str, command), "--size", str(SIZE), *weights]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["losses"]["perceptual"] > 0
