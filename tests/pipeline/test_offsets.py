"""Fits of an object that the crop followed: trained object-centered, and moved in the finished scene."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from recording import Recorder
from small_fit import small_config, small_view_set

from stag4d import pipeline
from stag4d.geometry import world_offsets
from stag4d.resume import Checkpoint, CheckpointFolder
from stag4d.scene import GaussianModel4D, load_scene, save_scene
from stag4d.view_set import ViewSet

CROP_OFFSETS = torch.tensor([[-0.25, 0.125], [0.0, -0.125], [0.25, 0.0]])  # of the side, right and down


def moved_views() -> ViewSet:
    """Return the small view set as if a crop had followed its object."""
    views = small_view_set()
    return replace(views, offsets=world_offsets(CROP_OFFSETS, views.input_pose))


@pytest.fixture(scope="module")
def still() -> GaussianModel4D:
    """A short fit without offsets."""
    return pipeline.fit(small_view_set(), small_config(steps=40))[0]


@pytest.fixture(scope="module")
def moved() -> GaussianModel4D:
    """The same fit with offsets."""
    return pipeline.fit(moved_views(), small_config(steps=40))[0]


def parameters(model: GaussianModel4D) -> dict[str, torch.Tensor]:
    """Return all optimized tensors of a scene."""
    return model.gaussians.as_dict() | model.deformation.state_dict()


def same(first: GaussianModel4D, second: GaussianModel4D) -> bool:
    """Return whether two scenes have the same parameters, bit by bit."""
    one, other = parameters(first), parameters(second)
    return all(torch.equal(one[name], other[name]) for name in one)


def centers(model: GaussianModel4D, size: int) -> torch.Tensor:
    """Return the centroids [F, 2] of the renders from the input camera, x and y in pixels."""
    _, (alphas,) = pipeline.render_views(model, [model.info.input_pose], [0, 1, 2], size)  # [F, S, S]
    pixels = torch.arange(size) + 0.5
    weights = alphas.sum(dim=(1, 2))
    x = (alphas * pixels).sum(dim=(1, 2)) / weights
    return torch.stack([x, (alphas * pixels[:, None]).sum(dim=(1, 2)) / weights], dim=1)


def test_training_is_object_centered(still, moved):
    assert same(still, moved)
    assert still.info.offsets is None
    assert torch.equal(moved.info.offsets, moved_views().offsets)


def test_object_moves_in_renders_from_the_input_camera_as_in_the_video(still, moved):
    size = 96
    wide = replace(moved.info.input_pose, fovy_deg=100.0)  # so that the moved object is in the image
    scale = torch.tan(torch.deg2rad(torch.tensor([moved.info.input_pose.fovy_deg, wide.fovy_deg])) / 2)
    expected = CROP_OFFSETS * size * scale[0] / scale[1]  # pixels

    def seen_wide(model: GaussianModel4D) -> torch.Tensor:
        info = replace(model.info, input_pose=wide)
        return centers(GaussianModel4D(model.gaussians, model.deformation, info), size)

    shifts = seen_wide(moved) - seen_wide(still)
    # The side of the object that faces the camera is nearer than the origin, and moves a little more.
    torch.testing.assert_close(shifts, expected, rtol=0.15, atol=0.3)
    assert expected.abs().max() > 8


def test_scene_file_keeps_the_motion(moved, tmp_path):
    save_scene(tmp_path / "scene.safetensors", moved)
    loaded = load_scene(tmp_path / "scene.safetensors")
    times = torch.tensor([0.0, 0.3, 1.0])
    assert torch.equal(loaded.at(times).means, moved.at(times).means)


def test_held_out_view_has_the_metrics_of_the_fit_without_offsets():
    reports = [
        pipeline.fit_without_view(views, 2, small_config(steps=10))[1]
        for views in (small_view_set(), moved_views())
    ]
    assert reports[0].metrics == reports[1].metrics


def test_turntable_and_bullet_time_follow_the_object(still, moved, tmp_path):
    for name, model in {"still": still, "moved": moved}.items():
        pipeline.write_turntable(tmp_path / f"{name}.mp4", model, 32, num_frames=6)
        pipeline.write_bullet_time(tmp_path / f"{name}_bullet.mp4", model, 32, 1)
    for suffix in (".mp4", "_bullet.mp4"):
        contents = [(tmp_path / f"{name}{suffix}").read_bytes() for name in ("still", "moved")]
        assert contents[0] == contents[1]


def test_a_fit_can_start_from_a_moved_scene(still, moved):
    assert torch.equal(moved.start().means, still.start().means)


def test_interrupted_fit_finds_its_checkpoint(moved, tmp_path):
    path, config = tmp_path / "checkpoint.safetensors", small_config(steps=40)
    _, report = pipeline.fit(
        moved_views(), config, checkpoint=Checkpoint(path), monitor=Recorder(("optimize", 7))
    )
    assert report.steps == 7
    with pytest.raises(ValueError, match="it belongs to other views or settings"):
        pipeline.fit(small_view_set(), config, checkpoint=Checkpoint(path, resume=True))
    monitor = Recorder()
    resumed, _ = pipeline.fit(
        moved_views(), config, checkpoint=Checkpoint(path, resume=True), monitor=monitor
    )
    assert monitor.of("optimize")[0] == 7
    assert same(resumed, moved)
    assert torch.equal(resumed.info.offsets, moved.info.offsets)


def test_unfinished_scene_in_a_folder_moves(tmp_path):
    folder = CheckpointFolder(tmp_path, resume=True)
    pipeline.fit(moved_views(), small_config(), checkpoint=folder, monitor=Recorder(("optimize", 3)))
    (path,) = tmp_path.glob("*.safetensors")
    assert torch.equal(load_scene(path).info.offsets, moved_views().offsets)


def test_renders_of_a_fixed_camera_evaluate_as_such(moved, still, tmp_path):
    pipeline.write_views_of(tmp_path, moved, [moved.info.input_pose], [0, 2], 24)
    assert pipeline.evaluate(moved, tmp_path)["psnr"] > 40
    assert pipeline.evaluate(still, tmp_path)["psnr"] < 25
