"""Training pictures: of the training split only, and seen from where they say."""

from __future__ import annotations

import pytest
import torch

from stag4d.geometry import OrbitPose
from stag4d.toys import raycast, toy_object, toy_seed
from stag4d.types import Cameras
from training import toys
from training.toys import (
    OTHER_DRAWS,
    RIG,
    SIZE,
    draw_toys,
    on_background,
    read_toys,
    recolored,
    write_shard,
)


def test_free_cameras_stand_where_they_say():
    drawn = draw_toys("val", 5, 1)
    generator = torch.Generator().manual_seed(toy_seed("val", 5) + OTHER_DRAWS)
    time = torch.rand((), generator=generator).item()
    for free, (azimuth, elevation) in enumerate(drawn.free_poses_deg[0].tolist()):
        pose = OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)
        images, alphas, _ = raycast(
            toy_object(toy_seed("val", 5)), time, Cameras.from_poses([pose], SIZE, SIZE)
        )
        expected = (torch.cat([images, alphas[..., None]], dim=-1)[0] * 255).round().to(torch.uint8)
        assert torch.equal(drawn.pictures[0, len(RIG) + free], expected)


def test_the_time_says_nothing_about_the_body_plan():
    """The first double from a toy's own seed picks its plan; eight times the first float goes on with it."""
    times: dict[str, list[float]] = {}
    for index in range(40):
        seed = toy_seed("train", index)
        time = torch.rand((), generator=torch.Generator().manual_seed(seed + OTHER_DRAWS)).item()
        times.setdefault(toy_object(seed).plan, []).append(time * 8 % 1)
    assert len(times) > 4
    assert all(max(drawn) - min(drawn) > 0.3 for drawn in times.values() if len(drawn) > 3)


def test_a_background_shows_where_the_toy_is_not():
    picture = torch.tensor([[[[200, 100, 0, 255], [9, 9, 9, 0], [200, 100, 0, 51]]]], dtype=torch.uint8)
    found = on_background(picture, 0.5)[0]  # [3, 1, 3]
    opaque, share = torch.tensor([200, 100, 0]) / 255, 51 / 255
    expected = torch.stack([opaque, torch.full((3,), 0.5), opaque * share + 0.5 * (1 - share)], dim=-1)
    torch.testing.assert_close(found[:, 0], expected * 2 - 1)


def test_recolored_toys_keep_their_shape_and_their_views_agree():
    pictures = torch.arange(4).to(torch.uint8).expand(200, 2, 3, 3, 4)  # a channel's value is its number
    found = recolored(pictures, torch.Generator().manual_seed(0))
    assert (found[..., 3] == 3).all()
    assert (found == found[:, :1, :1, :1]).all()
    assert len(found[:, 0, 0, 0, :3].unique(dim=0)) == 6  # every order of three occurs


def test_a_missing_shard_says_how_to_draw_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"toys_003\.npz: no such shard; python -m training\.toys .*3"
    ):
        read_toys(tmp_path, 1, first=3)


def test_a_shard_has_its_own_toys_of_the_training_split_and_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setattr(toys, "TOYS_PER_SHARD", 2)
    paths = [write_shard(tmp_path, number) for number in (1, 2)]
    written = paths[0].stat().st_mtime_ns
    assert write_shard(tmp_path, 1).stat().st_mtime_ns == written
    found, expected = read_toys(tmp_path, 2, first=1), draw_toys("train", 2, 4)
    assert torch.equal(found.pictures, expected.pictures)
    assert torch.equal(found.free_poses_deg, expected.free_poses_deg)
