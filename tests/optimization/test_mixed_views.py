"""Fits to sets of mixed sizes, projections and moving cameras, with and without a reference, and weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_fit import shrunk

from stag4d.evaluation import psnr
from stag4d.geometry import OrbitPose, camera_rig, orbit_viewmats, rig_cameras
from stag4d.optimization import Trainer, TrainingViews, preset
from stag4d.rendering import render
from stag4d.toys import render_toy, toy_object, toy_seed
from stag4d.types import Cameras
from stag4d.view_set import ViewSet, ViewTrack, with_trust

TIMES = [0.0, 0.5, 1.0]
TOY = toy_object(toy_seed("val", 1))


def track(cameras: Cameras, name: str) -> ViewTrack:
    """Return a toy's images by one camera, or by another camera at each frame."""
    if len(cameras) == 1:
        images, alphas = (part[0] for part in render_toy(TOY, cameras, TIMES))
    else:
        frames = [render_toy(TOY, cameras[[index]], [time]) for index, time in enumerate(TIMES)]
        images, alphas = (torch.cat([frame[part][0] for frame in frames]) for part in (0, 1))
    return ViewTrack(images=images, alphas=alphas, cameras=cameras, name=name)


@pytest.fixture(scope="module")
def views() -> ViewSet:
    """A pinhole of 48x32 pixels, four orthographic cameras of 40x40, and one that moves around the object."""
    wide = Cameras.from_poses([OrbitPose(azimuth_deg=20, elevation_deg=10)], 48, 32)
    rig = rig_cameras(camera_rig("unique3d"), 40, 40)
    ring = Cameras.from_rig(rig, 40, 40)
    poses = [OrbitPose(azimuth_deg=200.0 + 10 * frame, elevation_deg=-15) for frame in range(3)]
    moving = Cameras.from_poses(poses, 40, 40)
    tracks = [track(wide, "wide"), *(track(ring[[index]], f"ortho {index}") for index in range(4))]
    return ViewSet((*tracks, track(moving, "moving")), 0)


def mean_psnr(model, views: ViewSet, size: int = 40) -> float:
    """Return the PSNR of all given images on white."""
    given = TrainingViews.from_views(views, size)
    chosen = torch.arange(given.num_cameras)
    scores = []
    for frame in range(given.num_frames):
        for batch in given.batches([frame], chosen[None], torch.ones(len(chosen), 3), size):
            images = render(model.at(model.frame_times[[frame]])[0], batch.cameras).images
            scores.append(psnr(images, batch.targets.images).mean())
    return torch.stack(scores).mean().item()


@pytest.mark.parametrize("reference", [0, None])
def test_a_fit_of_mixed_views_converges(views, reference):
    trainer = Trainer(replace(views, reference=reference), shrunk(preset("fast", steps=60, size=40)))
    before = mean_psnr(trainer.model(), views)
    model = trainer.run()
    assert mean_psnr(model, views) > max(before + 3, 20)


def test_views_of_one_size_and_projection_are_rendered_together(views):
    given = TrainingViews.from_views(views, 40)
    sizes = [(group.indices.tolist(), tuple(group.premultiplied.shape[2:4])) for group in given.groups]
    assert sizes == [([0], (27, 40)), ([1, 2, 3, 4], (40, 40)), ([5], (40, 40))]
    batches = list(given.batches([1], torch.tensor([[0, 5, 3, 1]]), torch.ones(4, 3), 20))
    assert [batch.positions.tolist() for batch in batches] == [[0], [2, 3], [1]]
    assert [batch.cameras.projection for batch in batches] == ["pinhole", "ortho", "pinhole"]
    assert [tuple(batch.targets.alphas.shape[1:]) for batch in batches] == [(14, 20), (20, 20), (20, 20)]
    assert batches[0].is_reference.tolist() == [True]
    expected = orbit_viewmats([OrbitPose(azimuth_deg=210, elevation_deg=-15)])
    torch.testing.assert_close(batches[2].cameras.viewmats, expected)  # of frame 1
    # intrinsics follow the real sizes, per axis: 48x32 becomes 20x14, not 20x13.33
    native = views.tracks[0].cameras.Ks[0]
    torch.testing.assert_close(batches[0].cameras.Ks[0, 0], native[0] * 20 / 48)
    torch.testing.assert_close(batches[0].cameras.Ks[0, 1], native[1] * 14 / 32)


def test_batches_of_several_frames_are_those_of_each_frame(views):
    given = TrainingViews.from_views(views, 40)
    frames, chosen = [2, 0, 1], torch.tensor([[0, 3, 4], [0, 2, 5], [0, 5, 1]])
    backgrounds = torch.rand(9, 3, generator=torch.Generator().manual_seed(0))
    together = list(given.batches(frames, chosen, backgrounds, 20))
    assert [batch.cameras_per_frame for batch in together] == [[1, 1, 1], [2, 1, 1], [0, 1, 1]]
    assert [batch.positions.tolist() for batch in together] == [[0, 3, 6], [1, 2, 4, 8], [5, 7]]
    for index, frame in enumerate(frames):
        own = backgrounds[3 * index : 3 * index + 3]
        for alone in given.batches([frame], chosen[[index]], own, 20):
            batch = next(
                other for other in together if 3 * index + int(alone.positions[0]) in other.positions
            )
            rows = (batch.positions // 3 == index).nonzero()[:, 0]
            assert torch.equal(batch.backgrounds[rows], own[alone.positions])
            assert torch.equal(batch.targets.images[rows], alone.targets.images)
            assert torch.equal(batch.targets.alphas[rows], alone.targets.alphas)
            assert torch.equal(batch.cameras.viewmats[rows], alone.cameras.viewmats)
            assert torch.equal(batch.cameras.Ks[rows], alone.cameras.Ks)
            assert torch.equal(batch.is_reference[rows], alone.is_reference)


def test_a_view_of_weight_0_does_not_influence_the_fit(views):
    def fitted(images: torch.Tensor) -> torch.Tensor:
        ignored = replace(views.tracks[2], images=images, weights=torch.zeros(3))
        tracks = (*views.tracks[:2], ignored, *views.tracks[3:])
        config = shrunk(preset("fast", steps=12, size=32))
        config = replace(config, start=replace(config.start, kind="ball"))
        return Trainer(replace(views, tracks=tracks), config).run().gaussians.means

    images = views.tracks[2].images
    assert torch.equal(fitted(images), fitted(1 - images))


def test_trust_falls_linearly_with_the_angle_from_the_reference():
    poses = [OrbitPose(azimuth_deg=azimuth) for azimuth in (0, 90, 180)]
    images, alphas = torch.zeros(2, 4, 4, 3), torch.zeros(2, 4, 4)
    tracks = tuple(ViewTrack.from_pose(images, alphas, pose) for pose in poses)
    trusted = with_trust(ViewSet(tracks), 0.5)
    assert trusted.tracks[0].weights is None
    torch.testing.assert_close(trusted.tracks[1].weights, torch.tensor([0.75, 0.75]))
    torch.testing.assert_close(trusted.tracks[2].weights, torch.tensor([0.5, 0.5]))
    with pytest.raises(ValueError, match="none is the input video"):
        with_trust(ViewSet(tracks, None), 0.5)
    with pytest.raises(ValueError, match=r"falloff 1\.5; expected 0 to 1"):
        with_trust(ViewSet(tracks), 1.5)
