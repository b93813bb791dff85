"""``stag4d evaluate`` with metrics that need weights, and by Consistent4D's protocol."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from small_fit import small_config, small_view_set

from stag4d.cli import main
from stag4d.evaluation import PerceptualDistance
from stag4d.optimization import Trainer
from stag4d.pipeline import protocol
from stag4d.scene import save_scene
from tiny_models import make_clip_folder

AZIMUTHS = (-75, 15, 105, 195)


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> str:
    """A scene of three frames."""
    path = tmp_path_factory.mktemp("scene") / "scene.safetensors"
    save_scene(path, Trainer(small_view_set(), small_config()).model())
    return str(path)


@pytest.fixture(scope="module")
def renders(scene, tmp_path_factory) -> Path:
    """The folder of `stag4d render` at the azimuths of the protocol."""
    folder = tmp_path_factory.mktemp("renders")
    views = ";".join(f"{azimuth},0" for azimuth in AZIMUTHS)
    assert main(["render", scene, "-o", str(folder), f"--views={views}", "--size", "32"]) == 0
    return folder


@pytest.fixture(scope="module")
def truth(renders, tmp_path_factory) -> Path:
    """The same images in the layout of the protocol."""
    folder = tmp_path_factory.mktemp("truth")
    for view in range(4):
        (folder / f"eval_{view}").mkdir()
        for frame in range(3):
            content = (renders / f"view{view}_frame{frame:04d}.png").read_bytes()
            (folder / f"eval_{view}" / f"{frame}.png").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> list[str]:
    """Options with random weights of LPIPS, in two files as published, and of CLIP."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    network = PerceptualDistance("alexnet")
    state = network.state_dict()
    torch.save({name: state[name] for name in state if name.startswith("features")}, folder / "alexnet.pth")
    heads = {f"lin{stage}.model.1.weight": torch.rand_like(head) for stage, head in enumerate(network.heads)}
    torch.save(heads, folder / "alex.pth")
    files = ["--lpips", str(folder / "alexnet.pth"), "--lpips", str(folder / "alex.pth")]
    return [*files, "--clip", str(make_clip_folder(folder / "clip"))]


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Measure at 64 pixels on a side instead of 512."""
    monkeypatch.setattr(protocol, "evaluate_views", partial(protocol.evaluate_views, size=64))


def refused(capsys, *words: object) -> str:
    """Run a command that must fail; returns its one line."""
    assert main([*map(str, words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.strip().splitlines()[-1]


def test_lpips_and_clip_s_are_reported_where_weights_are_given(scene, renders, weights, capsys):
    capsys.readouterr()
    assert main(["evaluate", scene, "--truth", str(renders), *weights]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics.keys() == {"psnr", "psnr_masked", "ssim", "iou", "flicker", "lpips", "clip_s", "per_view"}
    assert metrics["psnr"] > 40
    assert metrics["lpips"] == pytest.approx(0, abs=1e-3)
    assert metrics["clip_s"] == pytest.approx(1, abs=1e-3)
    assert len(metrics["per_view"]["lpips"]) == 4


def test_a_scene_is_evaluated_by_the_protocol(scene, truth, weights, tmp_path, capsys, caplog):
    command = ["evaluate", scene, "--protocol", "consistent4d", "--truth", str(truth), *weights]
    with caplog.at_level("INFO"):
        assert main([*command, "-o", str(tmp_path / "out")]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["psnr"] > 45
    assert metrics["lpips"] == pytest.approx(0, abs=1e-3)
    assert metrics["clip_s"] == pytest.approx(1, abs=1e-3)
    assert metrics["left_out"].keys() == {"fvd"}
    table = (tmp_path / "out" / "metrics.md").read_text(encoding="utf-8")
    assert table.startswith("| | LPIPS ↓ | CLIP-S ↑ | PSNR ↑ | PSNR masked ↑ | SSIM ↑ |\n")
    assert table in caplog.text

    images = ["evaluate", "--images", str(tmp_path / "out"), "--truth", str(truth)]
    assert main([*images, "--protocol", "consistent4d", *weights]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again == metrics


def test_options_that_do_not_belong_together_are_refused(scene, truth, tmp_path, capsys):
    for words, message in (
        ([], "SCENE, --images: neither is given; expected one of them."),
        ([scene, "--images", truth], "SCENE, --images: both are given; expected one of them."),
        (["--images", truth], "--images: is for --protocol only; add --protocol consistent4d."),
        ([scene, "-o", tmp_path], "--out: is for --protocol only; add --protocol consistent4d."),
    ):
        assert refused(capsys, "evaluate", *words, "--truth", truth) == f"stag4d evaluate: {message}"
    error = refused(capsys, "evaluate", scene, "--truth", truth, "--protocol", "sv4d")
    assert "argument --protocol: invalid choice: 'sv4d'" in error


def test_missing_files_are_refused_in_one_line(scene, truth, weights, tmp_path, capsys):
    command = ["evaluate", scene, "--protocol", "consistent4d", "--truth", truth]
    line = refused(capsys, *command, "--lpips", tmp_path / "vgg.pth")
    assert line.startswith(f"stag4d evaluate: LPIPS weights {tmp_path / 'vgg.pth'}: no such file; expected")
    line = refused(capsys, *command, *weights[:2])
    assert "lin0.model.1.weight is missing; expected the shape [1, 64, 1, 1], of the package lpips." in line
    line = refused(capsys, *command, "--clip", tmp_path / "clip")
    assert line.startswith(f"stag4d evaluate: CLIP {tmp_path / 'clip'}: no such folder; expected one with")
    line = refused(capsys, *command[:-1], tmp_path / "gt")
    assert line.startswith(f"stag4d evaluate: ground truth: {tmp_path / 'gt'} does not exist; expected")
