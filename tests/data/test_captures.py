"""Captures: each format written by independent code and read back; files of other layouts; refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from capture_writers import (
    WRITERS,
    Z_UP,
    Toy,
)

from stag4d.data.captures import find_capture

TOY = Toy(principal=(23.25, 16.5), focals=(60.0, 61.0))
CENTERED = Toy()  # for formats without principal point and with square pixels
Z_UP_FORMATS = ("nerfstudio", "frameset")


def assert_close(found: torch.Tensor, expected: np.ndarray) -> None:
    torch.testing.assert_close(found, torch.from_numpy(np.asarray(expected)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", WRITERS)
def test_capture_is_read_as_it_was_written(tmp_path, name):
    toy = CENTERED if name == "llff" else TOY
    WRITERS[name](tmp_path, toy)
    capture = find_capture(tmp_path, "all")
    turn = np.eye(4)
    turn[:3, :3] = Z_UP.T if name in Z_UP_FORMATS else np.eye(3)
    assert len(capture.views) == 3
    for view, viewmat in zip(capture.views, toy.viewmats, strict=True):
        assert_close(view.viewmats, (viewmat @ turn)[None])
        assert_close(view.Ks, toy.K[None])
        assert (view.width, view.height) == toy.size
    videos = name in ("4danyone", "llff")
    assert [view.frames.suffix if videos else len(view.frames) for view in capture.views] == (
        [".mp4"] * 3 if videos else [2] * 3
    )
    assert len(capture.frame_ids) == (0 if videos else 2)
