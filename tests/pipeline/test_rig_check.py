"""The check of cameras by silhouettes: it names the right order or rig, and is silent if they are right."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from changed_views import changed_views

from stag4d.geometry import camera_rig, rig_cameras, zero123plus_rig
from stag4d.pipeline.rig_check import check_rig, silhouette_shares
from stag4d.toys import render_toy, toy_object, toy_seed, toy_views
from stag4d.types import Cameras
from stag4d.view_set import ViewSet, ViewTrack

SIZE, FRAMES = 64, 3


@pytest.fixture(scope="module")
def toy() -> ViewSet:
    """A toy's true views at the rig of Zero123++ v1.1."""
    return toy_views(3, FRAMES, SIZE)


def seen_by(name: str, taken_as: str | None = None) -> ViewSet:
    """Return a toy's true views by a rig, with the cameras of the same or another one; no reference."""
    rig, other = (rig_cameras(camera_rig(one), SIZE, SIZE) for one in (name, taken_as or name))
    toy = toy_object(toy_seed("test", 2))
    cameras = Cameras.from_rig(rig, SIZE, SIZE)
    images, alphas = render_toy(toy, cameras, [0.0, 0.5, 1.0])  # [V, F, H, W, 3]
    taken = Cameras.from_rig(other, SIZE, SIZE)
    return ViewSet(
        tuple(
            ViewTrack(images=images[view], alphas=alphas[view], cameras=taken[[view]], name=f"view {view}")
            for view in range(len(cameras))
        ),
        None,
    )


def test_right_cameras_are_not_questioned(toy, caplog):
    given, better = check_rig(toy, "frame by frame")
    assert given.median > 0.97
    assert better is None
    assert not caplog.records


def test_views_in_another_order_are_named(toy, caplog):
    images, alphas = (part.transpose(0, 1) for part in (toy.view_images, toy.view_alphas))
    mixed = changed_views(
        toy,
        view_images=images.reshape(toy.view_images.shape),  # view by view, taken as frame by frame
        view_alphas=alphas.reshape(toy.view_alphas.shape),
    )
    with caplog.at_level(logging.WARNING):
        given, better = check_rig(mixed, "frame by frame")
    assert better.name == "order view by view"
    assert better.median > given.median + 0.2
    assert "order view by view would explain" in caplog.text


def test_the_right_rig_is_named(toy):
    _, better = check_rig(changed_views(toy, view_poses=zero123plus_rig("v1.2")), "frame by frame")
    assert better.name == "rig zero123++1.1"


def test_mirrored_azimuths_are_named(toy):
    poses = tuple(replace(pose, azimuth_deg=-pose.azimuth_deg) for pose in toy.view_poses)
    _, better = check_rig(changed_views(toy, view_poses=poses), "frame by frame")
    assert better.name == "mirrored azimuths"


def test_elevations_of_the_other_sign_are_named(toy):
    poses = tuple(replace(pose, elevation_deg=-pose.elevation_deg) for pose in toy.view_poses)
    _, better = check_rig(changed_views(toy, view_poses=poses), "frame by frame")
    assert better.name == "elevations of the other sign"


@pytest.mark.parametrize("name", ["mv-adapter", "mv-adapter-mesh", "unique3d", "sv4d2-8"])
def test_silhouettes_of_every_projection_are_covered(name):
    views = seen_by(name)
    shares = silhouette_shares([(track.at(0)[1], track.camera(0)) for track in views.tracks])
    assert shares.min() > 0.97


def test_orthographic_views_taken_as_a_pinhole_rig_are_named():
    given, better = check_rig(seen_by("mv-adapter", taken_as="zero123++1.1"))
    assert better.name == "rig mv-adapter"
    assert better.median > given.median


def test_fewer_than_two_silhouettes_cannot_be_compared(toy):
    assert silhouette_shares([(toy.alphas[0], toy.reference_track.cameras)]).numel() == 0
    given, better = check_rig(toy.chosen([]))
    assert (given.median, better) == (0.0, None)
