"""SPZ files read back by a reader after the specification, and by another implementation."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from spz_reader import read_spz

from stag4d.export import write_splat_sequence, write_spz
from stag4d.geometry import flip_splat_frame, quats_to_rotations
from stag4d.scene import SH_C0, Gaussians

gsply = pytest.importorskip("gsply")


def assert_equals(found: tuple[np.ndarray, ...], gaussians: Gaussians) -> None:
    """Assert that values in the frame of the file equal Gaussians within the documented error."""
    means, quats = flip_splat_frame(gaussians.means, torch.nn.functional.normalize(gaussians.quats, dim=-1))
    centers, log_scales, rotations, opacities, colors = found
    np.testing.assert_allclose(centers, means, atol=1.3e-4, rtol=0)
    np.testing.assert_allclose(log_scales, gaussians.log_scales, atol=math.log(1.032), rtol=0)
    cosines = np.abs((rotations * quats.double().numpy()).sum(axis=1)).clip(max=1)
    assert np.degrees(2 * np.arccos(cosines)).max() < 0.5
    np.testing.assert_allclose(opacities, gaussians.opacities, atol=0.004, rtol=0)
    np.testing.assert_allclose(colors, gaussians.colors, atol=0.004, rtol=0)


def read_with_gsply(path: Path) -> tuple[np.ndarray, ...]:
    """Return centers, log scales, rotations, opacities and colors as gsply reads them."""
    found = gsply.read_spz(path)
    opacities = 1 / (1 + np.exp(-found.opacities))
    return found.means, found.scales, found.quats, opacities, 0.5 + SH_C0 * found.sh0


def test_values_are_within_the_documented_error_in_the_3dgs_frame(tmp_path, swaying_scene):
    gaussians = swaying_scene.at(swaying_scene.frame_times[[3]])[0]
    write_spz(tmp_path / "new" / "a.spz", gaussians)
    assert_equals(read_spz(tmp_path / "new" / "a.spz"), gaussians)


def test_cpp_backend_of_gsply_reads_the_same_values(tmp_path, swaying_scene):
    write_spz(tmp_path / "a.spz", swaying_scene.gaussians)  # by the Python backend
    gsply.use_backend("cpp")
    try:
        if gsply.active_backend() != "cpp":
            pytest.skip("this gsply has no C++ reader")
        assert_equals(read_with_gsply(tmp_path / "a.spz"), swaying_scene.gaussians)
    finally:
        gsply.use_backend("python")


def test_file_is_y_down(tmp_path, swaying_scene):
    one = swaying_scene.gaussians.map(lambda values: values[:1])
    one.means[:] = torch.tensor([1.0, 2.0, 3.0])
    one.quats[:] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    write_spz(tmp_path / "a.spz", one)
    centers, _, quats, _, _ = read_spz(tmp_path / "a.spz")
    assert centers.tolist() == [[1, -2, -3]]
    turned = quats_to_rotations(torch.from_numpy(quats))[0]
    torch.testing.assert_close(turned, torch.diag(torch.tensor([1.0, -1.0, -1.0])).double())


def test_sequence_has_the_same_order_in_every_frame(tmp_path, swaying_scene):
    paths = write_splat_sequence(tmp_path, swaying_scene, "spz", [0, 4])
    assert [path.name for path in paths] == ["frame_0000.spz", "frame_0004.spz"]
    for frame, path in zip((0, 4), paths, strict=True):
        assert_equals(read_spz(path), swaying_scene.at(swaying_scene.frame_times[[frame]])[0])


def test_centers_out_of_range_are_rejected(tmp_path, swaying_scene):
    far = replace(swaying_scene.gaussians, means=swaying_scene.gaussians.means * 1e5)
    with pytest.raises(ValueError, match=r"spz: a center is 4\d{4}\.?\d* units away; expected below 2048"):
        write_spz(tmp_path / "a.spz", far)
    far.means[0, 0] = torch.nan
    with pytest.raises(ValueError, match="spz: a center is nan units away"):
        write_spz(tmp_path / "a.spz", far)
    assert not list(tmp_path.iterdir())


def test_missing_package_is_an_error_with_the_install_command(tmp_path, swaying_scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "gsply", None)
    with pytest.raises(RuntimeError, match='spz: the package gsply is not installed; pip install "gsply>='):
        write_spz(tmp_path / "a.spz", swaying_scene.gaussians)
    with pytest.raises(RuntimeError, match='pip install "gsply>='):
        write_splat_sequence(tmp_path / "a", swaying_scene, "spz")
    assert not list(tmp_path.iterdir())
