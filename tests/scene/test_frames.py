"""Stored frames: exact at their times, interpolated between them or not, and in a scene file."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from stag4d.scene import (
    GaussianModel4D,
    Gaussians,
    SceneInfo,
    load_scene,
    pad_frames,
    save_scene,
    stack_frames,
)


@pytest.fixture
def moving(make_gaussians) -> GaussianModel4D:
    """Four frames of five Gaussians whose numbers all change, with static colors."""
    first = make_gaussians(5)
    frames = [replace(make_gaussians(5, seed=seed), sh0=first.sh0) if seed else first for seed in range(4)]
    return GaussianModel4D.from_frames(stack_frames(frames), SceneInfo(num_frames=4, fps=12.0))


@pytest.fixture
def changing(make_gaussians) -> GaussianModel4D:
    """Three frames of 4, 0 and 6 unrelated Gaussians."""
    frames = pad_frames([make_gaussians(count, seed=count) for count in (4, 0, 6)])
    return GaussianModel4D.from_frames(frames, SceneInfo(num_frames=3))


def assert_equal(found: Gaussians, expected: Gaussians) -> None:
    for name, values in expected.as_dict().items():
        assert torch.equal(getattr(found, name), values), name


def test_frames_are_exact_at_their_times(make_gaussians, moving, changing):
    for frame in range(4):
        expected = replace(make_gaussians(5, seed=frame), sh0=make_gaussians(5).sh0)
        assert_equal(moving.at(moving.frame_times[[frame]])[0], expected if frame else make_gaussians(5))
    for frame, count in enumerate((4, 0, 6)):
        assert_equal(changing.at(changing.frame_times[[frame]])[0], make_gaussians(count, seed=count))


def test_frames_of_a_long_scene_are_exact(make_gaussians):
    """Times of frames are float32 numbers, which are not exactly f / (F - 1)."""
    count = 20_000
    means = torch.arange(count * 3.0).reshape(count, 1, 3)
    one = make_gaussians(1)
    frames = stack_frames([one]).map(lambda values: values.expand(count, *values.shape[1:]))
    model = GaussianModel4D.from_frames(replace(frames, means=means), SceneInfo(num_frames=count))
    assert torch.equal(model.at(model.frame_times).means, means)


def test_gaussians_are_interpolated_between_frames(moving):
    quarter = moving.at(torch.tensor([0.25 / 3, 1.5 / 3]))
    frames = moving.frames
    torch.testing.assert_close(quarter.means[0], 0.75 * frames.means[0] + 0.25 * frames.means[1])
    torch.testing.assert_close(quarter.means[1], 0.5 * frames.means[1] + 0.5 * frames.means[2])
    torch.testing.assert_close(
        quarter.logit_opacities[1], 0.5 * frames.logit_opacities[1] + 0.5 * frames.logit_opacities[2]
    )
    assert torch.equal(quarter.sh0[1], frames.sh0[0])


def test_rotations_are_interpolated_to_the_nearer_of_two_equal_quaternions(make_gaussians):
    first = make_gaussians(5)
    frames = stack_frames([first, replace(first, quats=-first.quats)])
    deformed = GaussianModel4D.from_frames(frames, SceneInfo(num_frames=2)).at(torch.tensor([0.5]))
    torch.testing.assert_close(deformed.quats[0], first.quats)


def test_unrelated_frames_are_not_mixed(make_gaussians, changing):
    times = torch.tensor([0.2, 0.3, 0.7, 0.8])
    deformed = changing.at(times)
    assert deformed.counts == (4, 0, 0, 6)
    assert_equal(deformed[3], make_gaussians(6, seed=6))
    assert (deformed.logit_opacities[0, 4:].sigmoid() < 1e-12).all()  # the padding


def test_frames_round_trip_through_a_scene_file(moving, changing, tmp_path):
    for name, model in {"moving": moving, "changing": changing}.items():
        path = tmp_path / f"{name}.safetensors"
        save_scene(path, model)
        loaded = load_scene(path)
        assert loaded.frames.counts == model.frames.counts
        for part, values in model.frames.as_dict().items():
            assert torch.equal(getattr(loaded.frames, part), values), part
        save_scene(tmp_path / "again.safetensors", loaded)
        assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    with safe_open(tmp_path / "moving.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["stag4d"])["format_version"] == 2
        assert file.get_slice("frames.sh0").get_shape() == [1, 5, 1, 3]  # static: stored once
        assert file.get_slice("frames.means").get_shape() == [4, 5, 3]


def test_frames_on_a_device_are_kept(moving):
    moved = moving.to("cpu")
    assert torch.equal(moved.frames.means, moving.frames.means)
    assert_equal(moved.gaussians, moving.gaussians)


def test_a_fit_starts_from_the_middle_frame_of_gaussians_that_move(make_gaussians, moving, changing):
    assert_equal(moving.start(), replace(make_gaussians(5, seed=2), sh0=make_gaussians(5).sh0))
    with pytest.raises(ValueError, match=r"can be played and exported but not fitted; expected a scene from"):
        changing.start()


def test_frames_that_do_not_fit_are_refused(moving, changing, make_field):
    frames = moving.frames
    with pytest.raises(ValueError, match=r"scene: 4 stored frames; expected 5"):
        GaussianModel4D.from_frames(frames, SceneInfo(num_frames=5))
    with pytest.raises(ValueError, match=r"no deformation field"):
        GaussianModel4D(moving.gaussians, make_field(), moving.info, frames)
    with pytest.raises(ValueError, match=r"sh0 has shape \[3, 5, 1, 3\]; F is 4"):
        replace(frames, sh0=frames.sh0[:3])
    with pytest.raises(ValueError, match=r"quats has shape \[5, 3\]"):
        replace(frames, quats=frames.quats[..., :3])
    for counts in ((5, 5, 5), (6, 5, 5, 5), (-1, 5, 5, 5)):
        with pytest.raises(ValueError, match="counts do not fit 4 frames of 5 Gaussians"):
            replace(frames, counts=counts)
    with pytest.raises(ValueError, match="no frames; expected one or more"):
        frames.map(lambda values: values[:0])


def test_malformed_frames_of_a_file_are_refused(changing, tmp_path):
    path = tmp_path / "scene.safetensors"
    for number, (old, new) in enumerate(
        {b'"counts": [4, 0, 6]': b'"counts": [4, 0, 7]', b"frames.quats": b"frames.quatz"}.items()
    ):
        save_scene(path, changing)
        damaged = tmp_path / f"{number}.safetensors"
        content = path.read_bytes().replace(old.replace(b'"', b'\\"'), new.replace(b'"', b'\\"'))
        assert content != path.read_bytes()
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match=r"an entry is missing or malformed"):
            load_scene(damaged)
