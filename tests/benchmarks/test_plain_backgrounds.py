"""Alpha from plain backgrounds: the synthetic images, and the table of the script."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks import _plain_images as plain
from benchmarks import plain_backgrounds as script


@pytest.mark.parametrize("size", [64, 128])
def test_coverage_of_shapes_is_their_area(size):
    canvas = plain.Canvas(size)
    pixel_area = (plain.SIDE / size) ** 2
    ring = canvas.ring(60, 64, 40, 23)
    assert ring.sum() * pixel_area == pytest.approx(math.pi * (40**2 - 23**2), rel=0.005)
    assert ring[size // 2, size * 60 // 128] == 0  # its hole
    assert canvas.box(20, 30, 60, 100).sum() * pixel_area == pytest.approx(40 * 70)


def test_images_are_of_the_object_color_where_alpha_is_one_and_of_the_wall_where_it_is_zero():
    images, alphas = plain.moving_ball(plain.Canvas(64), 3)
    assert images.shape == (3, 64, 64, 3)
    assert torch.equal(images[alphas == 1].unique(dim=0), torch.tensor([plain.RED]))
    assert torch.equal(images[alphas == 0].unique(dim=0), torch.tensor([plain.GREEN_WALL]))
    assert not torch.equal(alphas[0], alphas[2])


def test_bars_cover_the_given_lines():
    images, _ = plain.with_bars(plain.moving_ball(plain.Canvas(64), 1), plain.BLACK, (8, 4, 0, 2))
    is_bar = (images[0] == 0).all(dim=-1)
    assert is_bar.sum() == 64 * (4 + 2) + (64 - 6) * 1
    assert is_bar[:4].all()
    assert is_bar[-2:].all()
    assert is_bar[:, -1].all()


def test_row_has_the_lowest_and_highest_overlap_and_the_number_of_refused_images():
    canvas = plain.Canvas(64)
    video = plain.moving_ball(canvas, 2)
    noise = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    doubled = torch.cat([video.alphas[:1], torch.ones(1, 64, 64)])  # of the last, most is not found
    row = script._row("a", [plain.Frames(video.images, doubled), plain.Frames(noise, video.alphas[:1])])
    name, num_images, lowest, highest, refused = row.strip("| ").split(" | ")
    assert (name, num_images, refused) == ("a", "3", "1")
    assert float(highest) > 0.98
    assert float(lowest) == pytest.approx(math.pi * 18**2 / 128**2, abs=0.01)


def test_table_has_a_row_for_each_kind(monkeypatch, capsys):
    monkeypatch.setattr(script, "SIZE", 64)
    monkeypatch.setattr(script, "COMPRESSED_SIZE", 64)
    script.main([])
    header, rule, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 18 + 4 + 2 * len(script.CRFS)
    assert all(row.count("|") == header.count("|") == rule.count("|") for row in rows)
    assert len({row.split("|")[1] for row in rows}) == len(rows)
