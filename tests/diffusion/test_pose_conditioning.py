"""Pose conditioning of Zero123 models: the numbers by hand, and how a folder's kind is found."""

import json
import math
import re
import shutil

import pytest
import torch

from stag4d.diffusion import load_guidance_model, pose_numbers, read_pose_conditioning
from stag4d.geometry import OrbitPose

STABLE = "stable-zero123"


@pytest.fixture
def folder(guidance_folder, tmp_path):
    """A model folder that a test may change."""
    return shutil.copytree(guidance_folder, tmp_path / "model")


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(("elevation", "polar_deg"), [(0, 90), (30, 60), (-20, 110)])
def test_last_number_of_stable_zero123_is_the_polar_angle_of_the_condition(elevation, polar_deg):
    condition = OrbitPose(azimuth_deg=10, elevation_deg=elevation)
    target = OrbitPose(azimuth_deg=100, elevation_deg=elevation + 5)
    expected = [-math.radians(5), 1, 0, math.radians(polar_deg)]
    assert pose_numbers(condition, target, STABLE) == pytest.approx(expected, abs=1e-9)
    assert pose_numbers(condition, target) == pytest.approx([*expected[:3], 0], abs=1e-9)


def test_tokens_are_those_of_the_chosen_numbers(folder):
    """The layer's last column times the polar angle is the difference of the tokens."""
    condition, target = (OrbitPose(azimuth_deg=0, elevation_deg=elevation) for elevation in (20, 0))
    embedding = torch.rand(1, 8, generator=torch.Generator().manual_seed(0))
    usual, stable = (
        load_guidance_model(folder, pose_conditioning=kind).tokens(embedding, [condition], [target])
        for kind in ("zero123", STABLE)
    )
    weight = load_guidance_model(folder, pose_conditioning=STABLE).camera_projection.proj.weight
    torch.testing.assert_close(stable - usual, (weight[:, -1] * math.radians(70))[None, None])


def test_resume_keys_differ_and_that_of_zero123_is_as_before(folder):
    usual, stable = (load_guidance_model(folder, pose_conditioning=kind) for kind in ("zero123", STABLE))
    assert stable.key_parts == (*usual.key_parts, STABLE)
    assert len(usual.key_parts) == 5


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("model_index.json", {"_class_name": "StableZero123Pipeline"}),
        ("model_index.json", {"_class_name": ["stable_zero123", "Zero123Pipeline"]}),
        ("model_index.json", {"_name_or_path": "ashawkey/stable-zero123-diffusers"}),
        ("model_index.json", {"clip_camera_projection": ["stable_zero123", "CLIPCameraProjection"]}),
        ("unet/config.json", {"_name_or_path": "/models/stable_zero123/unet"}),
    ],
    ids=repr,
)
def test_files_that_name_stable_zero123_decide(folder, file, values):
    change(folder / file, **values)
    conditioning, assumption = read_pose_conditioning(folder)
    assert conditioning == load_guidance_model(folder).pose_conditioning == STABLE
    assert "assumed pose conditioning stable-zero123, which its files name" in assumption
    assert read_pose_conditioning(folder, "zero123") == ("zero123", "")


def test_settings_of_the_folder_decide_without_an_assumption(folder):
    change(folder / "model_index.json", stag4d={"pose_conditioning": STABLE})
    assert read_pose_conditioning(folder) == (STABLE, "")
    (folder / "stag4d.json").write_text('{"pose_conditioning": "zero123"}')  # the index takes precedence
    assert load_guidance_model(folder).pose_conditioning == STABLE


def test_assumption_is_logged_with_the_way_to_choose(folder, caplog):
    assert load_guidance_model(folder).pose_conditioning == "zero123"
    [record] = caplog.records
    assert f"{folder}: assumed pose conditioning zero123, " in record.message
    assert "--guidance-pose" in record.message
    caplog.clear()
    load_guidance_model(folder, pose_conditioning="zero123")
    assert caplog.records == []


def test_a_name_that_suggests_stable_zero123_asks(folder):
    stable = folder.rename(folder.with_name("my-stable-zero123"))
    words = "the pose conditioning is not stated, only its name suggests stable-zero123; choose"
    with pytest.raises(ValueError, match=rf"^{re.escape(str(stable))}: {words} with --guidance-pose"):
        load_guidance_model(stable)
    assert load_guidance_model(stable, pose_conditioning=STABLE).pose_conditioning == STABLE


def test_unknown_choice_is_refused(folder):
    with pytest.raises(
        ValueError, match="pose conditioning: unknown 'xl'; expected zero123 or stable-zero123"
    ):
        load_guidance_model(folder, pose_conditioning="xl")


@pytest.mark.parametrize(
    "settings", [{"pose_conditioning": "zero124"}, {"pose_conditioning": [1]}, {"rig": "v1.1"}, 7]
)
def test_malformed_settings_are_refused(folder, settings):
    change(folder / "model_index.json", stag4d=settings)
    with pytest.raises(ValueError, match=r"model_index\.json: stag4d"):
        load_guidance_model(folder)


def test_an_unknown_setting_is_refused_whatever_the_user_chooses(folder):
    (folder / "stag4d.json").write_text('{"pose": "zero123"}')
    for chosen in ("zero123", STABLE, None):
        with pytest.raises(ValueError, match=r"^stag4d\.json has the unknown key 'pose'\.$"):
            read_pose_conditioning(folder, chosen)


def test_the_text_of_a_card_does_not_decide(folder):
    (folder / "README.md").write_text("---\nbase_model: cvlab/zero123-xl\n---\nSee also Stable-Zero123.\n")
    assert read_pose_conditioning(folder)[0] == "zero123"
    (folder / "README.md").write_text("---\nbase_model: stabilityai/stable-zero123\n---\n")
    assert read_pose_conditioning(folder)[0] == STABLE
