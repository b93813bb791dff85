"""Training images: cameras, times, backgrounds, colors, shards."""

from __future__ import annotations

import pytest
import torch

from stag4d.geometry import OrbitPose
from stag4d.toys import ANY_CHARACTER, raycast, toy_object, toy_seed
from stag4d.types import Cameras
from training import toys
from training.toys import (
    RIG,
    SEED_OFFSET,
    SIZE,
    generate_toys,
    on_background,
    read_toys,
    recolored,
    write_shard,
)


def test_images_of_random_cameras_match_their_poses():
    generated = generate_toys("val", 5, 1)
    generator = torch.Generator().manual_seed(toy_seed("val", 5) + SEED_OFFSET)
    time = torch.rand((), generator=generator).item()
    for free, (azimuth, elevation) in enumerate(generated.free_poses_deg[0].tolist()):
        pose = OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)
        images, alphas, _ = raycast(
            toy_object(toy_seed("val", 5), ANY_CHARACTER), time, Cameras.from_poses([pose], SIZE, SIZE)
        )
        expected = (torch.cat([images, alphas[..., None]], dim=-1)[0] * 255).round().to(torch.uint8)
        assert torch.equal(generated.images[0, len(RIG) + free], expected)


def test_time_is_independent_of_the_body_plan():
    """With a toy's own seed, 8 t mod 1 of its first random float t would be a function of the body plan."""
    times: dict[str, list[float]] = {}
    for index in range(40):
        seed = toy_seed("train", index)
        time = torch.rand((), generator=torch.Generator().manual_seed(seed + SEED_OFFSET)).item()
        times.setdefault(toy_object(seed, ANY_CHARACTER).plan, []).append(time * 8 % 1)
    assert len(times) > 4
    assert all(max(values) - min(values) > 0.3 for values in times.values() if len(values) > 3)


def test_images_are_composited_on_the_background():
    image = torch.tensor([[[[200, 100, 0, 255], [9, 9, 9, 0], [200, 100, 0, 51]]]], dtype=torch.uint8)
    found = on_background(image, 0.5)[0]  # [3, 1, 3]
    opaque, share = torch.tensor([200, 100, 0]) / 255, 51 / 255
    expected = torch.stack([opaque, torch.full((3,), 0.5), opaque * share + 0.5 * (1 - share)], dim=-1)
    torch.testing.assert_close(found[:, 0], expected * 2 - 1)


def test_recoloring_permutes_channels_consistently_across_views():
    images = torch.arange(4).to(torch.uint8).expand(200, 2, 3, 3, 4)  # a channel's value is its number
    found = recolored(images, torch.Generator().manual_seed(0))
    assert (found[..., 3] == 3).all()
    assert (found == found[:, :1, :1, :1]).all()
    assert len(found[:, 0, 0, 0, :3].unique(dim=0)) == 6  # every order of three occurs


def test_missing_shard_is_refused_with_the_command_that_renders_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"toys_003\.npz: no such shard; python -m training\.toys .*3"
    ):
        read_toys(tmp_path, 1, first=3)


def test_shards_hold_disjoint_training_toys_and_are_rendered_once(tmp_path, monkeypatch):
    monkeypatch.setattr(toys, "TOYS_PER_SHARD", 2)
    paths = [write_shard(tmp_path, number) for number in (1, 2)]
    written = paths[0].stat().st_mtime_ns
    assert write_shard(tmp_path, 1).stat().st_mtime_ns == written
    found, expected = read_toys(tmp_path, 2, first=1), generate_toys("train", 2, 4)
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.free_poses_deg, expected.free_poses_deg)
