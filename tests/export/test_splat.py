""".splat files: the bytes of the format, and its accuracy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from seed_files import random_gaussians

from stag4d.export import encode_splat
from stag4d.geometry import flip_splat_frame


def test_a_gaussian_has_the_bytes_of_the_format():
    one = random_gaussians(1)
    one = replace(
        one,
        means=torch.tensor([[1.0, 2.0, 3.0]]),
        log_scales=torch.tensor([[0.0, 0.0, 0.0]]),
        quats=torch.tensor([[0.0, -2.0, 0.0, 0.0]]),  # with the half turn of the frame: w = 1
        logit_opacities=torch.tensor([0.0]),
        sh0=torch.tensor([[[0.0, 9.0, -9.0]]]),
    )
    content = encode_splat(one)
    assert np.frombuffer(content[:24], "<f4").tolist() == [1, -2, -3, 1, 1, 1]
    assert list(content[24:]) == [128, 255, 0, 128, 255, 128, 128, 128]


def test_values_are_within_the_documented_error():
    gaussians = random_gaussians(300)
    rows = np.frombuffer(encode_splat(gaussians), np.uint8).reshape(300, 32)
    means, quats = flip_splat_frame(gaussians.means, torch.nn.functional.normalize(gaussians.quats, dim=-1))
    floats = np.ascontiguousarray(rows[:, :24]).view("<f4")
    np.testing.assert_array_equal(floats[:, :3], means)
    np.testing.assert_array_equal(floats[:, 3:], gaussians.scales)
    colors = gaussians.colors.clamp(0, 1).numpy()
    np.testing.assert_allclose(rows[:, 24:27] / 255, colors, atol=0.002, rtol=0)
    np.testing.assert_allclose(rows[:, 27] / 255, gaussians.opacities, atol=0.002, rtol=0)
    found = (rows[:, 28:].astype(float) - 128) / 128
    np.testing.assert_allclose(found, quats, atol=0.0085, rtol=0)
