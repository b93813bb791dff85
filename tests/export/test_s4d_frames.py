"""Stored frames in ``.s4d`` files: version 2 where colors change or frames are unrelated, and back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from seed_files import changing_frames, moving_frames, scene_of

from stag4d.export import encode_s4d, read_s4d, read_s4d_scene, write_s4d
from stag4d.scene import GaussianFrames


def version_of(content: bytes) -> int:
    return int(np.frombuffer(content, "<u4", count=1, offset=4)[0])


def nearest(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the index of the nearest of some centers for each one found; a file sorts its Gaussians."""
    order = torch.cdist(found.double(), truth.double()).argmin(dim=1)
    assert len(order.unique()) == len(truth)
    return order


def test_frames_with_static_colors_are_of_version_1():
    frames = moving_frames()
    static = replace(
        frames,
        sh0=frames.sh0[:1].expand(4, -1, -1, -1),
        logit_opacities=frames.logit_opacities[:1].expand(4, -1),
    )
    content = encode_s4d(scene_of(static))
    assert version_of(content) == 1
    assert b"interpolate" not in content
    assert version_of(encode_s4d(scene_of(frames))) == 2


@pytest.mark.parametrize("frames", [moving_frames(), changing_frames()], ids=["related", "unrelated"])
def test_frames_are_read_back(tmp_path, frames: GaussianFrames):
    model = scene_of(frames, fps=12.5)
    write_s4d(tmp_path / "a.s4d", model)
    found, fps, pose = read_s4d_scene(tmp_path / "a.s4d")
    assert (fps, pose, found.counts) == (12.5, model.info.input_pose, frames.counts)
    order = None
    for frame in range(len(frames)):
        count = len(frames[frame]) if frames.counts is None else frames.counts[frame]
        truth = frames[frame].map(lambda values: values[:count])  # noqa: B023
        one = found[frame].map(lambda values: values[:count])  # noqa: B023
        if order is None or frames.counts is not None:
            order = nearest(one.means, truth.means)
        truth = truth.map(lambda values: values[order])  # noqa: B023
        torch.testing.assert_close(one.means, truth.means, atol=1e-4, rtol=0)
        torch.testing.assert_close(one.log_scales, truth.log_scales, atol=1 / 127, rtol=0)
        torch.testing.assert_close(one.opacities, truth.opacities, atol=1 / 1019, rtol=0)
        torch.testing.assert_close(one.colors, truth.colors, atol=1 / 1019, rtol=0)


def test_unrelated_frames_say_so_in_the_header():
    content = encode_s4d(scene_of(changing_frames()))
    length = int(np.frombuffer(content, "<u4", count=1, offset=8)[0])
    header = json.loads(content[12 : 12 + length])
    assert header["interpolate"] is False
    assert header["attributes"]["opacities"]["per_frame"] is True
    assert not read_s4d(content).is_related
    assert (read_s4d(content).at(0).opacities < 1e-6).sum() == 12 - 5  # the padding


def test_numbers_that_cannot_be_rendered_are_refused_by_name(tmp_path):
    content = encode_s4d(scene_of(moving_frames()))
    length = int(np.frombuffer(content, "<u4", count=1, offset=8)[0])
    header = json.loads(content[12 : 12 + length])
    header["attributes"]["log_scales"]["low"] = [1e5] * 3
    text = json.dumps(header).encode()
    changed = content[:8] + np.array([len(text)], "<u4").tobytes() + text + content[12 + length :]
    (tmp_path / "a.s4d").write_bytes(changed)
    with pytest.raises(ValueError, match=r"a\.s4d: s4d: frame 0: log_scales up to 10\d*; expected at most"):
        read_s4d_scene(tmp_path / "a.s4d")


def test_error_names_the_file(tmp_path):
    (tmp_path / "a.s4d").write_bytes(b"S4DC")
    with pytest.raises(ValueError, match=r"^\S*a\.s4d: s4d: does not begin with S4DC"):
        read_s4d(tmp_path / "a.s4d")
    with pytest.raises(FileNotFoundError, match=r"b\.s4d: no such file"):
        read_s4d_scene(tmp_path / "b.s4d")
