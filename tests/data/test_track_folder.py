"""View folders of version 2: any sizes, projections and moving cameras, written and read back exactly."""

from __future__ import annotations

import json

import pytest
import torch

from stag4d.data import check_views, read_views, write_views
from stag4d.geometry import OrbitPose, orbit_viewmats
from stag4d.types import Cameras
from stag4d.view_set import ViewSet, ViewTrack

FRAMES = 3


def images(width: int, height: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random colors and alphas of an opaque box on nothing, uint8."""
    generator = torch.Generator().manual_seed(seed)
    colors = torch.randint(256, (FRAMES, height, width, 3), dtype=torch.uint8, generator=generator)
    alphas = torch.zeros(FRAMES, height, width, dtype=torch.uint8)
    alphas[:, 1:-1, 1:-1] = 255
    return colors, alphas


def mixed_set(reference: int | None = None) -> ViewSet:
    """Return a moving pinhole with a principal point of its own, an orthographic camera and an orbit pose."""
    moving = orbit_viewmats([OrbitPose(azimuth_deg=10.0 * frame, elevation_deg=3) for frame in range(FRAMES)])
    K = torch.tensor([[[20.5, 0, 5.25], [0, 21.5, 4.5], [0, 0, 1]]])
    ortho = Cameras(orbit_viewmats([OrbitPose(azimuth_deg=90)]), K, 8, 12, "ortho")
    first, second, third = images(10, 6, 0), images(8, 12, 1), images(7, 7, 2)
    return ViewSet(
        (
            ViewTrack(
                images=first[0],
                alphas=first[1],
                cameras=Cameras(moving, K.repeat(FRAMES, 1, 1), 10, 6),
                weights=torch.tensor([1.0, 0.5, 0.0]),
                name="moving",
            ),
            ViewTrack(images=second[0], alphas=second[1], cameras=ortho, name="side"),
            ViewTrack.from_pose(*third, OrbitPose(azimuth_deg=200, elevation_deg=-12.5)),
        ),
        reference,
        fps=12.5,
        offsets=torch.arange(9.0).reshape(3, 3) / 7,
    )


@pytest.mark.parametrize("reference", [None, 2])
def test_a_set_is_read_as_it_was_written(tmp_path, reference):
    views = mixed_set(reference)
    write_views(tmp_path, views)
    check_views(tmp_path)
    loaded = read_views(tmp_path)
    assert (loaded.reference, loaded.fps) == (reference, 12.5)
    assert torch.equal(loaded.offsets, views.offsets)
    for track, other in zip(views.tracks, loaded.tracks, strict=True):
        assert torch.equal(other.images, track.images)
        assert torch.equal(other.alphas, track.alphas)
        assert torch.equal(other.cameras.viewmats, track.cameras.viewmats)
        assert torch.equal(other.cameras.Ks, track.cameras.Ks)
        assert other.cameras.projection == track.cameras.projection
        assert (other.name, other.pose) == (track.name, track.pose)
    assert torch.equal(loaded.tracks[0].weights, views.tracks[0].weights)
    assert loaded.tracks[1].weights is None


def test_a_smaller_set_replaces_a_larger_one_and_either_version_the_other(tmp_path, make_views):
    write_views(tmp_path, make_views(2, 6))
    write_views(tmp_path, mixed_set())
    assert not list(tmp_path.rglob("*_rgba.png"))
    smaller = mixed_set()
    write_views(tmp_path, ViewSet(smaller.tracks[:1], None))
    assert read_views(tmp_path).num_views == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("view0")) == ["view000"]
    (tmp_path / "unfinished_x.latents").touch()
    write_views(tmp_path, make_views(2, 6))
    assert read_views(tmp_path).num_views == 6
    assert not list(tmp_path.glob("view0*"))
    assert not list(tmp_path.glob("*.latents"))


def test_square_views_of_several_sizes_and_another_reference_are_kept(tmp_path):
    tracks = [
        ViewTrack.from_pose(*images(size, size, size), OrbitPose(azimuth_deg=10.0 * size), f"view {size}")
        for size in (6, 8, 10)
    ]
    write_views(tmp_path, ViewSet(tuple(tracks), reference=2))
    loaded = read_views(tmp_path)
    assert loaded.reference == 2
    assert [track.images.shape[1] for track in loaded.tracks] == [6, 8, 10]


def test_sets_of_square_orbit_views_keep_version_1(tmp_path, make_views):
    write_views(tmp_path, make_views(1, 2))
    assert json.loads((tmp_path / "views.json").read_text())["version"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0; expected 1"),
        ({"num_frames": 4}, "offsets has 3 entries; expected 4"),
        ({"reference": 3}, "reference 3 of 3 views"),
        ({"views": []}, "views is .*; expected a list"),
        ({"fps": 0}, "fps is 0"),
        ({"extra": 1}, "unknown entry"),
    ],
)
def test_a_wrong_document_is_refused(tmp_path, change, message):
    write_views(tmp_path, mixed_set())
    path = tmp_path / "views.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_views(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folder": "../other"}, "must be the name of a folder"),
        ({"projection": "fisheye"}, "unknown projection 'fisheye'"),
        ({"width": 9}, "expected 9x12 8-bit RGBA"),
        ({"K": [[1, 0, 0], [0, 1, 0]]}, "expected a 3x3 matrix"),
        ({"viewmat": [[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "not orthonormal"),
        ({"viewmat": [[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "mirrored axes"),
        ({"pose": {"azimuth": 0, "elevation": 0}}, "pose and viewmat are different cameras"),
        ({"weights": [1.0]}, "weights must be a list of 3 numbers"),
        ({"weights": [1.0, -1.0, 0.0]}, "expected finite numbers of at least 0"),
        ({"zoom": 2}, "unknown entry"),
    ],
)
def test_a_wrong_view_is_refused(tmp_path, change, message):
    write_views(tmp_path, mixed_set())
    path = tmp_path / "views.json"
    document = json.loads(path.read_text())
    document["views"][1] |= change
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=message):
        read_views(tmp_path)
