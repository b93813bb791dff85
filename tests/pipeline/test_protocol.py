"""Consistent4D's protocol for scenes and images: round trips of renders, reports, and refusals."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from solid_scene import solid_scene

from stag4d import pipeline
from stag4d.evaluation import LearnedMetrics, PerceptualDistance
from stag4d.evaluation.consistent4d import AZIMUTHS_DEG
from stag4d.export import write_image
from stag4d.geometry import OrbitPose
from stag4d.pipeline import (
    evaluate_images_by_protocol,
    evaluate_scene_by_protocol,
    load_learned_metrics,
    protocol,
)
from tiny_models import make_clip_folder

SIZE, FRAMES = 32, 2
NONE = LearnedMetrics()


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Measure at 64 pixels on a side instead of 512."""
    monkeypatch.setattr(protocol, "evaluate_views", partial(protocol.evaluate_views, size=64))


@pytest.fixture(scope="module")
def model():
    return solid_scene(FRAMES)


@pytest.fixture(scope="module")
def truth(model, tmp_path_factory) -> Path:
    """RGBA renders of the scene at the azimuths as published: -75, 15, 105, 195."""
    folder = tmp_path_factory.mktemp("truth")
    poses = [OrbitPose(azimuth_deg=azimuth) for azimuth in (-75, 15, 105, 195)]
    images, alphas = pipeline.render_views(model, poses, list(range(FRAMES)), SIZE)
    for view in range(4):
        for frame in range(FRAMES):
            path = folder / f"eval_{view}" / f"{frame}.png"
            write_image(path, images[view, frame], alphas[view, frame])
    return folder


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> LearnedMetrics:
    torch.manual_seed(0)
    lpips = PerceptualDistance("alexnet")
    for head in lpips.heads:
        torch.nn.init.constant_(head, 0.1)
    clip = make_clip_folder(tmp_path_factory.mktemp("models") / "clip")
    return replace(load_learned_metrics(clip=clip), lpips=lpips)


def test_a_scene_has_the_best_scores_against_its_own_renders(model, truth, networks, tmp_path):
    """Against RGBA files up to their rounding, against the files that it writes itself exactly."""
    first = evaluate_scene_by_protocol(model, truth, networks, tmp_path / "renders")
    assert first["psnr"] > 50
    assert first["psnr_masked"] > 50
    assert (first["frames"], first["left_out"].keys()) == (FRAMES, {"fvd"})
    assert first["networks"] == {"lpips": "alexnet", "clip_s": "CLIP ViT, 2 layers, width 8, patch 14"}
    assert 0 <= first["lpips"] < 1e-4
    again = evaluate_scene_by_protocol(model, tmp_path / "renders", networks)
    assert (again["psnr"], again["lpips"]) == (100, 0)
    assert (again["ssim"], again["clip_s"]) == (pytest.approx(1), pytest.approx(1))
    assert again["left_out"].keys() == {"fvd", "psnr_masked"}  # its files have no alpha
    images = evaluate_images_by_protocol(tmp_path / "renders", truth, networks)
    assert {**images, "per_view": None} == {**first, "per_view": None}


def test_the_cameras_turn_from_the_input_camera_of_the_scene(model, tmp_path):
    """A scene whose input camera is at azimuth 40 is the same as one of 0 that is seen 40 degrees further."""
    pose = OrbitPose(azimuth_deg=40.0, elevation_deg=10.0, radius=2.5, fovy_deg=40.0)
    turned = solid_scene(FRAMES)
    turned.info = replace(turned.info, input_pose=pose)
    for view, azimuth in enumerate(AZIMUTHS_DEG):
        images, alphas = pipeline.render_views(
            model, [replace(pose, azimuth_deg=40 + azimuth)], list(range(FRAMES)), SIZE
        )
        for frame in range(FRAMES):
            write_image(tmp_path / f"eval_{view}" / f"{frame}.png", images[0, frame], alphas[0, frame])
    assert evaluate_scene_by_protocol(turned, tmp_path, NONE)["psnr"] > 50
    assert evaluate_scene_by_protocol(model, tmp_path, NONE)["psnr"] < 25


def test_renders_are_written_in_the_layout_of_the_protocol(model, truth, tmp_path):
    for stale in ("eval_1/7.png", "eval_1/notes.txt"):
        (tmp_path / stale).parent.mkdir(exist_ok=True)
        (tmp_path / stale).write_bytes(b"")
    evaluate_scene_by_protocol(model, truth, NONE, tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    frames = {f"eval_{view}/{frame}.png" for view in range(4) for frame in range(FRAMES)}
    assert names == frames | {"metrics.json", "metrics.md", "eval_1/notes.txt"}
    written = Image.open(tmp_path / "eval_2" / "1.png")
    assert (written.mode, written.size) == ("RGB", (SIZE, SIZE))
    assert written.getpixel((0, 0)) == (255, 255, 255)
    expected = Image.open(truth / "eval_2" / "1.png")
    white = Image.new("RGBA", expected.size, "white")
    white.alpha_composite(expected)
    assert np.abs(np.asarray(written).astype(int) - np.asarray(white.convert("RGB"))).max() <= 2


def test_reports_hold_the_scores_and_how_to_get_what_is_left_out(model, truth, tmp_path):
    result = evaluate_scene_by_protocol(model, truth, NONE, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text()) == result
    lines = (tmp_path / "metrics.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "| | PSNR ↑ | PSNR masked ↑ | SSIM ↑ |"
    per_view = result["per_view"]
    assert lines[2:7] == [
        f"| {name} | {psnr:.2f} | {masked:.2f} | {ssim:.3f} |"
        for name, psnr, masked, ssim in zip(
            ["eval_0 (-75°)", "eval_1 (15°)", "eval_2 (105°)", "eval_3 (195°)", "mean"],
            [*per_view["psnr"], result["psnr"]],
            [*per_view["psnr_masked"], result["psnr_masked"]],
            [*per_view["ssim"], result["ssim"]],
            strict=True,
        )
    ]
    assert [line.split(" is left out")[0] for line in lines[8:]] == ["- LPIPS", "- CLIP-S", "- FVD"]
    assert "--lpips" in result["left_out"]["lpips"]
    assert "--clip" in result["left_out"]["clip_s"]
    assert "compute_fvd.py" in result["left_out"]["fvd"]


def test_scores_of_several_objects_are_their_means(truth, tmp_path):
    for root in ("gt", "pred"):
        for name in ("bird", "fox"):
            shutil.copytree(truth, tmp_path / root / name)
    for path in (tmp_path / "pred" / "fox").glob("*/*.png"):
        Image.new("RGB", (2 * SIZE, 2 * SIZE), (250, 250, 250)).save(path)  # of another size than the truth
    result = evaluate_images_by_protocol(tmp_path / "pred", tmp_path / "gt", NONE, tmp_path / "out")
    bird, fox = result["objects"]["bird"], result["objects"]["fox"]
    assert bird["psnr"] == 100 > fox["psnr"]
    for name in ("psnr", "psnr_masked", "ssim"):
        assert result[name] == pytest.approx((bird[name] + fox[name]) / 2)
    assert "per_view" not in result
    lines = (tmp_path / "out" / "metrics.md").read_text(encoding="utf-8").splitlines()
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| bird", "| fox", "| mean"]
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "gt" / "fox" / "eval_0" / "0.png")  # without alpha
    result = evaluate_images_by_protocol(tmp_path / "pred", tmp_path / "gt", NONE)
    assert "psnr_masked" in result["left_out"].keys() & result["objects"]["bird"].keys()
    assert "psnr_masked" not in result


def test_folders_that_do_not_match_are_refused(model, truth, tmp_path):
    shutil.copytree(truth, tmp_path / "gt" / "bird")
    shutil.copytree(truth, tmp_path / "pred" / "fox")
    with pytest.raises(
        ValueError, match=r"^images: .*pred has fox, .*gt has bird; expected the same objects"
    ):
        evaluate_images_by_protocol(tmp_path / "pred", tmp_path / "gt", NONE)
    with pytest.raises(ValueError, match=r"^images: .* has one object, .*gt has bird; expected the same"):
        evaluate_images_by_protocol(truth, tmp_path / "gt", NONE)
    with pytest.raises(ValueError, match=r"gt holds the objects bird; expected the folder of one"):
        evaluate_scene_by_protocol(model, tmp_path / "gt", NONE)
    for path in (tmp_path / "gt" / "bird").glob("*/1.png"):
        path.unlink()
    with pytest.raises(ValueError, match=r"^images: .* has 2 frames, .*bird has 1; expected the same number"):
        evaluate_images_by_protocol(truth, tmp_path / "gt" / "bird", NONE)
    with pytest.raises(ValueError, match=r"has 1 frames, the scene has 2; expected the same number: fit"):
        evaluate_scene_by_protocol(model, tmp_path / "gt" / "bird", NONE)


def test_the_ground_truth_is_not_overwritten(model, truth, tmp_path):
    shutil.copytree(truth, tmp_path / "gt")
    before = {path: path.read_bytes() for path in (tmp_path / "gt").rglob("*.png")}
    with pytest.raises(ValueError, match=r"gt: is the folder of the ground truth; choose another one"):
        evaluate_scene_by_protocol(model, tmp_path / "gt", NONE, tmp_path / "pred" / ".." / "gt")
    assert before == {path: path.read_bytes() for path in (tmp_path / "gt").rglob("*.png")}


def test_an_error_leaves_no_renders(model, truth, tmp_path):
    shutil.copytree(truth, tmp_path / "gt")
    (tmp_path / "gt" / "eval_3" / "1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"eval_3.1\.png"):
        evaluate_scene_by_protocol(model, tmp_path / "gt", NONE, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))
    assert not (tmp_path / "out" / "metrics.json").exists()
