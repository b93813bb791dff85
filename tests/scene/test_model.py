"""The scene at given times: deformed parameters, metadata, copies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stag4d.scene import FieldConfig, GaussianModel4D, SceneInfo
from stag4d.scene.frames import stack_frames

TIMES = torch.tensor([0.0, 0.3, 1.0])


def test_offsets_are_added_to_the_raw_parameters(moving_scene):
    deformed, canonical = moving_scene.at(TIMES), moving_scene.gaussians
    offsets = moving_scene.deformation(canonical.means, TIMES)
    assert len(deformed) == 3
    assert torch.equal(deformed.means, canonical.means + offsets.means)
    assert torch.equal(deformed.quats, canonical.quats + offsets.quats)
    assert torch.equal(deformed.log_scales, canonical.log_scales + offsets.log_scales)
    assert deformed.logit_opacities is canonical.logit_opacities
    assert deformed.sh0 is canonical.sh0
    assert deformed.means.shape == (3, 6, 3)
    assert deformed.quats.shape == (3, 6, 4)
    one = deformed[1]
    assert torch.equal(one.means, deformed.means[1])
    assert torch.equal(one.log_scales, deformed.log_scales[1])
    assert torch.equal(one.quats, deformed.quats[1])
    assert torch.equal(one.sh0, canonical.sh0)


def test_static_scene_is_the_same_at_all_times(make_gaussians):
    gaussians = make_gaussians(4)
    deformed = GaussianModel4D(gaussians, None, SceneInfo(num_frames=1)).at(TIMES)
    assert deformed.means.shape == deformed.log_scales.shape == (3, 4, 3)
    for index in range(3):
        for name, values in deformed[index].as_dict().items():
            assert torch.equal(values, getattr(gaussians, name)), name


def test_static_scales_are_not_deformed(make_gaussians, make_field):
    field = make_field(FieldConfig(resolutions=(3,), num_channels=2, deform_scales=False))
    deformed = GaussianModel4D(make_gaussians(), field, SceneInfo(num_frames=2)).at(TIMES)
    assert torch.equal(deformed.log_scales, make_gaussians().log_scales.expand(3, -1, -1))
    assert not torch.equal(deformed.means[0], deformed.means[1])


@pytest.mark.parametrize(("num_frames", "times"), [(1, [0.0]), (2, [0.0, 1.0]), (5, [0, 0.25, 0.5, 0.75, 1])])
def test_frame_times_run_from_0_to_1(make_gaussians, num_frames, times):
    model = GaussianModel4D(make_gaussians(), None, SceneInfo(num_frames=num_frames))
    assert model.frame_times.tolist() == times
    assert len(model.at(model.frame_times)) == num_frames


def test_scene_of_one_frame_and_one_time_sample(make_gaussians, make_field):
    field = make_field(FieldConfig(resolutions=(3,), time_resolution=1, num_channels=2))
    model = GaussianModel4D(make_gaussians(), field, SceneInfo(num_frames=1))
    deformed = model.at(torch.cat([model.frame_times, TIMES]))
    assert torch.isfinite(deformed.means).all()
    assert torch.equal(deformed.means[:1].expand(4, -1, -1), deformed.means)


def test_offsets_of_the_object_move_all_gaussians(moving_scene):
    offsets = torch.zeros(5, 3)
    offsets[:, 0] = torch.tensor([0.0, 1.0, 1.0, 1.0, 3.0])
    info = replace(moving_scene.info, offsets=offsets)
    moved = GaussianModel4D(moving_scene.gaussians, moving_scene.deformation, info)
    times = torch.tensor([0.0, 0.125, 0.5, 0.875, 1.0])
    shifts = moved.at(times).means - moving_scene.at(times).means  # [5, N, 3]
    expected = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]])
    torch.testing.assert_close(shifts, expected[:, None].expand_as(shifts))
    assert torch.equal(moved.to("cpu").at(times).means, moved.at(times).means)
    assert torch.equal(moved.object_centered().at(times).means, moving_scene.at(times).means)
    assert torch.equal(moved.start().means, moving_scene.start().means)
    assert moving_scene.object_centered() is moving_scene


def test_stored_frames_have_no_offsets(make_gaussians):
    frames = stack_frames([make_gaussians(seed=0), make_gaussians(seed=1)])
    with pytest.raises(ValueError, match="stored frames with offsets; expected frames in world"):
        GaussianModel4D.from_frames(frames, SceneInfo(num_frames=2, offsets=torch.zeros(2, 3)))


def test_gradients_reach_the_canonical_gaussians_and_the_field(make_gaussians, make_field):
    gaussians = make_gaussians().map(lambda value: value.requires_grad_())
    field = make_field()
    deformed = GaussianModel4D(gaussians, field, SceneInfo(num_frames=5)).at(TIMES)
    (
        deformed.means.square().sum() + deformed.quats.square().sum() + deformed.log_scales.square().sum()
    ).backward()
    assert all(
        value.grad.abs().sum() > 0 for value in (gaussians.means, gaussians.quats, gaussians.log_scales)
    )
    assert all(value.grad is not None for value in field.parameters())


def test_scene_on_a_device_is_a_copy(moving_scene, make_gaussians):
    trained = make_gaussians().map(lambda value: value.requires_grad_())
    original = GaussianModel4D(trained, moving_scene.deformation, moving_scene.info)
    before = original.at(TIMES).means.clone()
    copied = original.to("cpu")
    assert torch.equal(copied.at(TIMES).means, before)
    assert copied.info == original.info
    assert not any(value.requires_grad for value in copied.gaussians.as_dict().values())
    for value in [*copied.gaussians.as_dict().values(), *copied.deformation.parameters()]:
        value.data.add_(1.0)
    assert torch.equal(original.at(TIMES).means, before)
    assert torch.equal(original.gaussians.sh0, make_gaussians().sh0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 0}, "scene: 0 frames; expected at least one"),
        ({"num_frames": 2, "fps": 0.0}, r"scene: 0\.0 frames a second; expected above 0 and below 10000"),
        ({"num_frames": 2, "fps": float("nan")}, "scene: nan frames a second"),
        ({"num_frames": 2, "offsets": torch.zeros(3, 3)}, "scene: 3 offsets for 2 frames"),
    ],
)
def test_metadata_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SceneInfo(**options)
