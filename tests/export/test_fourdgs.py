"""``.4dgs`` files read back by the readers of the package fourdgs."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from recording import Recorder

from stag4d.export import write_4dgs
from stag4d.scene import GaussianModel4D

pytest.importorskip("fourdgs")
from fourdgs.cli import main as fourdgs_command
from fourdgs.keyframe_delta_file import DecodedSequence, decode_indexed, decode_streamed, render_at


@pytest.fixture
def content(tmp_path, swaying_scene) -> bytes:
    """The content of the scene's file."""
    monitor = Recorder()
    write_4dgs(tmp_path / "new" / "a.4dgs", swaying_scene, monitor)
    assert monitor.calls == [("export", done, 5) for done in range(1, 6)]
    return (tmp_path / "new" / "a.4dgs").read_bytes()


@pytest.mark.parametrize(
    "read", [decode_streamed, lambda data: decode_indexed(data)[0]], ids=["streamed", "indexed"]
)
def test_every_frame_is_within_the_documented_error(content, swaying_scene, read):
    decoded: DecodedSequence = read(content)
    spread = 0.05 * torch.cat([frame_of(swaying_scene, frame).scales for frame in range(5)]).median()
    for frame in range(5):
        deformed = frame_of(swaying_scene, frame)
        found = render_at(decoded, frame / 10)
        assert found["ids"].tolist() == list(range(50))
        np.testing.assert_allclose(found["centers"], deformed.means, atol=1.05 * spread, rtol=0)
        np.testing.assert_allclose(found["scales"], deformed.scales, rtol=0.0205)
        quats = torch.nn.functional.normalize(deformed.quats, dim=-1)[:, [1, 2, 3, 0]].double()  # xyzw
        cosines = np.abs((found["rotations"] * quats.numpy()).sum(axis=1)).clip(max=1)
        assert np.degrees(2 * np.arccos(cosines)).max() < 1
        np.testing.assert_allclose(found["rgb"], deformed.colors.clamp(0, 1), atol=1.01 / 255, rtol=0)
        np.testing.assert_allclose(found["opacity"], deformed.opacities, atol=1.01 / 255, rtol=0)


def frame_of(scene: GaussianModel4D, frame: int):
    return scene.at(scene.frame_times[[frame]])[0]


def test_centers_are_interpolated_linearly_and_constant_after_the_last_frame(content, swaying_scene):
    decoded = decode_streamed(content)
    before, after = (frame_of(swaying_scene, frame).means for frame in (1, 2))
    step = (after - before).abs().max()
    np.testing.assert_allclose(
        render_at(decoded, 0.125)["centers"], 0.75 * before + 0.25 * after, atol=0.1 * step, rtol=0
    )
    last = frame_of(swaying_scene, 4).means
    np.testing.assert_allclose(render_at(decoded, 0.499)["centers"], last, atol=0.1 * step, rtol=0)


def test_file_passes_the_validator_of_fourdgs(tmp_path, swaying_scene, capsys):
    write_4dgs(tmp_path / "a.4dgs", swaying_scene)
    assert fourdgs_command(["validate", str(tmp_path / "a.4dgs")]) == 0
    assert capsys.readouterr().out.strip() == "valid"


def test_file_is_y_up(tmp_path, swaying_scene):
    one = swaying_scene.gaussians.map(lambda values: values[:1])
    one.means[:] = torch.tensor([1.0, 2.0, 3.0])
    one.quats[:] = torch.tensor([0.8, 0.6, 0.0, 0.0])
    write_4dgs(tmp_path / "a.4dgs", GaussianModel4D(one, None, swaying_scene.info))
    found = render_at(decode_streamed((tmp_path / "a.4dgs").read_bytes()), 0.25)
    np.testing.assert_allclose(found["centers"], [[1, 2, 3]], atol=1e-2)
    np.testing.assert_allclose(found["rotations"], [[0.6, 0, 0, 0.8]], atol=1e-2)  # xyzw


@pytest.mark.parametrize("fps", [0.5, 29.97, 240.0])
def test_rounding_of_frame_times_does_not_displace_fast_gaussians(tmp_path, swaying_scene, fps):
    scene = replace(swaying_scene.gaussians, means=3 * swaying_scene.gaussians.means)
    fast = GaussianModel4D(scene, swaying_scene.deformation, replace(swaying_scene.info, fps=fps))
    write_4dgs(tmp_path / "a.4dgs", fast)
    decoded = decode_streamed((tmp_path / "a.4dgs").read_bytes())
    for frame in range(5):
        found = render_at(decoded, (frame + 1e-6) / fps)["centers"]
        np.testing.assert_allclose(found, frame_of(fast, frame).means, atol=2.5e-3, rtol=0)


def test_scene_of_one_frame_is_static(tmp_path, swaying_scene):
    still = GaussianModel4D(swaying_scene.gaussians, None, replace(swaying_scene.info, num_frames=1))
    write_4dgs(tmp_path / "a.4dgs", still)
    decoded = decode_streamed((tmp_path / "a.4dgs").read_bytes())
    for seconds in (0.0, 0.09):
        np.testing.assert_allclose(
            render_at(decoded, seconds)["centers"], still.gaussians.means, atol=2e-3, rtol=0
        )


def test_values_that_are_not_finite_are_rejected(tmp_path, swaying_scene):
    swaying_scene.gaussians.log_scales[3, 1] = 1000.0  # finite, but its exponential is not
    with pytest.raises(ValueError, match="4dgs: scales at 0 s are not all finite"):
        write_4dgs(tmp_path / "a.4dgs", swaying_scene)
    assert not list(tmp_path.iterdir())


def test_missing_package_is_an_error_with_the_install_command(tmp_path, swaying_scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "fourdgs.keyframe_delta_file", None)
    with pytest.raises(
        RuntimeError, match='4dgs: the package fourdgs is not installed; pip install "fourdgs>='
    ):
        write_4dgs(tmp_path / "a.4dgs", swaying_scene)
    assert not list(tmp_path.iterdir())
