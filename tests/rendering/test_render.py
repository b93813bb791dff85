"""Renders of a scene: one time with several cameras, and camera paths."""

from __future__ import annotations

import pytest
import torch
from recording import Recorder
from solid_scene import solid_scene

from stag4d.geometry import OrbitPose, intrinsics, orbit_viewmats
from stag4d.rendering import render, render_frames, render_sequence
from stag4d.types import Cameras

pytestmark = pytest.mark.usefixtures("one_thread")


def orbit_cameras(count: int) -> Cameras:
    viewmats = orbit_viewmats([OrbitPose(azimuth_deg=30.0 * i, elevation_deg=10.0) for i in range(count)])
    return Cameras(viewmats, intrinsics([49.1] * count, 24, 16), 24, 16)


def test_frame_of_a_camera_path_equals_render_at_its_time():
    """With depth; the path has no gradients."""
    model, cameras, frame_times = solid_scene(), orbit_cameras(3), torch.tensor([0.0, 0.3, 1.0])
    sequence = render_sequence(model, cameras, frame_times, with_depth=True)
    assert sequence.images.shape == (3, 16, 24, 3)
    assert not sequence.images.requires_grad
    for i in range(3):
        frame = render(model.at(frame_times[[i]])[0], cameras[[i]], with_depth=True)
        for name in ("images", "alphas", "depths"):
            assert torch.equal(getattr(sequence, name)[i], getattr(frame, name)[0].detach())


def test_frames_are_rendered_each_by_its_own_cameras():
    """And a frame without cameras not at all."""
    model, cameras, frame_times = solid_scene(), orbit_cameras(3), torch.tensor([0.0, 0.3, 1.0])
    backgrounds = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
    deformed = model.at(frame_times)
    output, metas = render_frames(deformed, cameras, [2, 0, 1], backgrounds=backgrounds)
    assert [meta["n_cameras"] for meta in metas] == [2, 1]
    for index, part in ((0, slice(0, 2)), (2, slice(2, 3))):
        alone = render(deformed[index], cameras[part], background=backgrounds[part])
        assert torch.equal(output.images[part], alone.images)
        assert torch.equal(output.alphas[part], alone.alphas)


def test_one_camera_or_one_time_is_repeated():
    model, cameras, frame_times = solid_scene(), orbit_cameras(2), torch.tensor([0.0, 1.0])
    still_camera = render_sequence(model, cameras[[0]], frame_times)
    still_scene = render_sequence(model, cameras, frame_times[:1])
    assert torch.equal(still_camera.images[0], still_scene.images[0])
    assert len(still_camera.images) == len(still_scene.images) == 2


def test_background_is_visible_where_the_scene_is_not():
    output = render(solid_scene().at(torch.zeros(1))[0], orbit_cameras(1), background=(0.2, 0.4, 0.6))
    assert output.alphas[0, 0, 0] == 0
    torch.testing.assert_close(output.images[0, 0, 0], torch.tensor([0.2, 0.4, 0.6]))
    assert output.depths is None


def test_orthographic_cameras_see_the_same_from_any_distance():
    """And of the size that their focal length gives: half as large with half the pixels per world unit."""
    scene, viewmats = solid_scene().at(torch.zeros(1))[0], orbit_cameras(2).viewmats
    Ks = torch.tensor([[[16.0, 0.0, 14.0], [0.0, 16.0, 7.0], [0.0, 0.0, 1.0]]]).repeat(2, 1, 1)
    near = render(scene, Cameras(viewmats, Ks, 24, 16, "ortho"), with_depth=True)
    farther = viewmats.clone()
    farther[:, 2, 3] = 9.0
    far = render(scene, Cameras(farther, Ks, 24, 16, "ortho"), with_depth=True)
    torch.testing.assert_close(far.images, near.images, rtol=0, atol=1e-5)
    visible = near.alphas > 0.1
    assert visible.any()
    torch.testing.assert_close(far.depths[visible], near.depths[visible] + 7.0, rtol=1e-4, atol=0)
    pinhole = render(scene, Cameras(viewmats, Ks, 24, 16))
    assert (pinhole.images - near.images).abs().max() > 0.1


def test_camera_path_keeps_the_projection():
    model, times = solid_scene(), torch.tensor([0.0, 1.0])
    cameras = orbit_cameras(2)
    ortho = Cameras(cameras.viewmats, cameras.Ks / 2, 24, 16, "ortho")
    path = render_sequence(model, ortho, times)
    assert torch.equal(path.images[1], render(model.at(times[1:])[0], ortho[[1]]).images[0].detach())


def test_progress_is_reported_after_each_frame():
    recorder = Recorder()
    render_sequence(solid_scene(), orbit_cameras(2), torch.tensor([0.0, 1.0]), monitor=recorder)
    assert recorder.calls == [("render", 1, 2), ("render", 2, 2)]


def test_different_numbers_of_cameras_and_times_are_an_error():
    with pytest.raises(ValueError, match=r"^camera path: 2 cameras and 3 times; expected equal"):
        render_sequence(solid_scene(), orbit_cameras(2), torch.linspace(0, 1, 3))
