"""``.s4d`` files read back: errors of the quantization, static attributes, sizes, limits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recording import Recorder

from benchmarks.s4d import LIMITS_MB, MOVING_SCALES_LIMIT, make_scene
from stag4d.export import S4DFile, encode_s4d, read_s4d, write_s4d
from stag4d.export.s4d.codec import compress_rows, decompress_rows
from stag4d.geometry import OrbitPose, quats_to_rotations, zero123plus_rig
from stag4d.progress import Interrupted
from stag4d.rendering import rasterize
from stag4d.scene import GaussianModel4D, SceneInfo
from stag4d.types import Cameras

STEPS = {  # means in object sizes, log scales, colors and opacities; degrees: the table in writer.py
    "full": (1 / 16384, 1 / 64, 1 / 510, 0.28),
    "small": (1 / 2048, 1 / 24, 1 / 255, 1.1),
}
ROUNDING = 1e-5  # of float32, in the units of the steps


def scene_order(file: S4DFile, model: GaussianModel4D) -> torch.Tensor:
    """Return the index in the scene of each Gaussian of a file, by the nearest center in the first frame."""
    means = model.at(model.frame_times[:1])[0].means
    order = torch.cdist(file.at(0).means.double(), means.double()).argmin(dim=1)
    assert len(order.unique()) == len(means)
    return order


@pytest.mark.parametrize("precision", ["full", "small"])
def test_errors_are_at_most_half_a_step(swaying_scene, precision):
    means_step, scales_step, colors_step, degrees = STEPS[precision]
    file = read_s4d(encode_s4d(swaying_scene, precision=precision))
    order = scene_order(file, swaying_scene)
    deformed = swaying_scene.at(swaying_scene.frame_times)
    low, high = np.percentile(deformed.means.double().reshape(-1, 3).numpy(), (1, 99), axis=0)
    size = (high - low).max()
    for frame in range(5):
        found, truth = file.at(frame), deformed[frame].map(lambda values: values[order])
        assert (found.means - truth.means).abs().max() <= size * means_step / 2 + ROUNDING
        assert (found.scales.log() - truth.log_scales).abs().max() <= scales_step / 2 + ROUNDING
        assert (found.colors - truth.colors).abs().max() <= colors_step / 2 + ROUNDING
        assert (found.opacities - truth.opacities).abs().max() <= colors_step / 2 + ROUNDING
        rotations = quats_to_rotations(found.quats.double()), quats_to_rotations(truth.quats.double())
        traces = (rotations[0] * rotations[1]).sum(dim=(1, 2))
        angles = torch.rad2deg(torch.arccos(((traces - 1) / 2).clamp(-1, 1)))
        assert angles.max() <= degrees


def test_header_has_the_frame_rate_and_the_cameras(swaying_scene):
    pose = OrbitPose(azimuth_deg=20.0, elevation_deg=-5.0, radius=3.0, fovy_deg=40.0)
    model = GaussianModel4D(
        swaying_scene.gaussians, swaying_scene.deformation, replace(swaying_scene.info, input_pose=pose)
    )
    file = read_s4d(encode_s4d(model))
    assert (file.num_gaussians, file.num_frames, file.fps, file.input_pose) == (50, 5, 10.0, pose)
    rig = zero123plus_rig("v1.1", 20.0)
    assert file.view_poses == tuple(replace(view, radius=3.0, fovy_deg=40.0) for view in rig)
    chosen = (OrbitPose(azimuth_deg=90.0), OrbitPose(azimuth_deg=180.0, elevation_deg=30.0))
    assert read_s4d(encode_s4d(model, view_poses=chosen)).view_poses == chosen


def test_colors_above_one_are_not_clipped(swaying_scene):
    gaussians = replace(swaying_scene.gaussians, sh0=torch.full((50, 1, 3), 10.0))
    model = GaussianModel4D(gaussians, swaying_scene.deformation, swaying_scene.info)
    assert torch.allclose(read_s4d(encode_s4d(model)).at(0).colors, gaussians.colors, atol=1e-4)
    assert gaussians.colors.min() > 3


def test_stray_gaussian_enlarges_the_step_and_keeps_its_center():
    gaussians = make_scene(1, 2000, is_noisy=False, moves_scales=False).gaussians
    gaussians.means[7] = torch.tensor([300.0, 0.0, 0.0])
    found = read_s4d(encode_s4d(GaussianModel4D(gaussians, None, SceneInfo(num_frames=1)))).at(0).means
    distances, nearest = torch.cdist(gaussians.means.double(), found.double()).min(dim=1)
    step = (300 - gaussians.means[:, 0].min()) / 65535
    assert found[nearest[7], 0] == pytest.approx(300)
    assert distances.max() <= 3**0.5 * step / 2 + ROUNDING


def test_static_attributes_are_stored_once(swaying_scene):
    moving = encode_s4d(swaying_scene)
    still = encode_s4d(GaussianModel4D(swaying_scene.gaussians, None, swaying_scene.info))
    assert b'"per_frame": true' in moving
    assert b'"per_frame": true' not in still
    file = read_s4d(still)
    assert torch.equal(file.at(0).means, file.at(4).means)


def test_scales_that_move_less_than_a_hundredth_of_a_step_are_stored_once(swaying_scene):
    def tiny_motion(means: torch.Tensor, frame_times: torch.Tensor) -> SimpleNamespace:
        zeros = torch.zeros(len(frame_times), len(means), 4)
        return SimpleNamespace(
            means=zeros[..., :3], quats=zeros, log_scales=1e-6 * frame_times[:, None, None]
        )

    model = GaussianModel4D(swaying_scene.gaussians, tiny_motion, swaying_scene.info)
    assert b'"per_frame": true' not in encode_s4d(model)


def test_render_of_a_frame_equals_that_of_the_scene(swaying_scene):
    deformed = swaying_scene.at(swaying_scene.frame_times[[3]])[0]
    found = read_s4d(encode_s4d(swaying_scene)).at(3)
    cameras = Cameras.from_poses([swaying_scene.info.input_pose], 128, 128)
    view = (cameras.viewmats, cameras.Ks, 128, 128)
    expected, *_ = rasterize(
        deformed.means, deformed.quats, deformed.scales, deformed.opacities, deformed.colors, *view
    )
    decoded, *_ = rasterize(found.means, found.quats, found.scales, found.opacities, found.colors, *view)
    assert expected.max() > 0.2
    assert (decoded - expected).abs().max() < 2 / 255  # a splat may pass the alpha threshold in one of them


def test_encoding_is_deterministic(swaying_scene, tmp_path):
    write_s4d(tmp_path / "new" / "a.s4d", swaying_scene)
    assert (tmp_path / "new" / "a.s4d").read_bytes() == encode_s4d(swaying_scene)


def test_monitor_is_called_after_each_frame(swaying_scene, tmp_path):
    monitor = Recorder()
    assert encode_s4d(swaying_scene, monitor=monitor) == encode_s4d(swaying_scene)
    write_s4d(tmp_path / "a.s4d", swaying_scene, monitor=monitor)
    assert monitor.calls == [("export", done, 5) for done in range(1, 6)] * 2


def test_interrupted_write_leaves_no_file(swaying_scene, tmp_path):
    with pytest.raises(Interrupted):
        write_s4d(tmp_path / "a.s4d", swaying_scene, monitor=Recorder(cancel_at=2))
    assert not list(tmp_path.iterdir())


def test_one_gaussian_at_one_frame(swaying_scene):
    gaussians = swaying_scene.gaussians.map(lambda values: values[:1])
    file = read_s4d(encode_s4d(GaussianModel4D(gaussians, None, SceneInfo(num_frames=1)), precision="small"))
    assert torch.allclose(file.at(0).means, gaussians.means, atol=1e-6)


@pytest.mark.parametrize("precision", ["full", "small"])
@pytest.mark.parametrize("motion", ["clean", "noisy"])
def test_file_sizes_are_within_the_limits(motion, precision):
    scenes = [
        make_scene(32, 20_000, is_noisy=motion == "noisy", moves_scales=moves) for moves in (False, True)
    ]
    still, moving = (len(encode_s4d(scene, precision=precision)) for scene in scenes)
    assert still <= 1e6 * LIMITS_MB[motion, precision]
    assert moving <= MOVING_SCALES_LIMIT * still


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (4, 97)])
def test_rows_are_decompressed_exactly(shape):
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 65536, shape).astype(np.uint16)
    steady = (np.arange(shape[0])[:, None] * 300 + np.arange(shape[1])).astype(np.uint16)
    extremes = np.where(noise & 1, 65535, 0).astype(np.uint16)
    channels = [noise, steady, extremes]
    decoded = decompress_rows(compress_rows(channels), shape[1], [shape[0]] * 3)
    for codes, found in zip(channels, decoded, strict=True):
        np.testing.assert_array_equal(codes, found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: {"precision": "tiny"}, "precision 'tiny'"),
        (lambda model: {"view_poses": [OrbitPose(azimuth_deg=0.0)] * 65}, "65 views; expected at most 64"),
        (lambda model: model.gaussians.means.__setitem__((3, 1), float("nan")), "means are not all finite"),
        (lambda model: model.gaussians.sh0.fill_(float("inf")), "colors are not all finite"),
    ],
)
def test_unencodable_scenes_are_rejected(swaying_scene, change, message):
    options = change(swaying_scene)
    with pytest.raises(ValueError, match=message):
        encode_s4d(swaying_scene, **(options if isinstance(options, dict) else {}))


def test_too_many_or_no_gaussians_are_rejected(swaying_scene):
    empty = swaying_scene.gaussians.map(lambda values: values[:0])
    with pytest.raises(ValueError, match="0 Gaussians; expected 1 to"):
        encode_s4d(GaussianModel4D(empty, None, SceneInfo(num_frames=1)))
    many = swaying_scene.gaussians.map(lambda values: values[:1].expand(300_000, *values.shape[1:]))
    with pytest.raises(ValueError, match="300000 Gaussians at 60 frames; expected at most 16777216 in all"):
        encode_s4d(GaussianModel4D(many, None, SceneInfo(num_frames=60)))


def test_frame_out_of_range_is_rejected(swaying_scene):
    with pytest.raises(ValueError, match="frame 5; expected 0 to 4"):
        read_s4d(encode_s4d(swaying_scene)).at(5)


def test_files_of_version_1_stay_readable():
    folder = Path(__file__).parents[1] / "web" / "data"
    truth = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    file = read_s4d(folder / "golden.s4d")
    assert (file.num_gaussians, file.num_frames, file.fps) == (7, 4, 12.5)
    for index, frame in enumerate(truth["frames"]):
        for name, values in file.at(index)._asdict().items():
            assert torch.allclose(values, torch.tensor(frame[name]), atol=1e-6), (index, name)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.s4d: no such file"):
        read_s4d(tmp_path / "none.s4d")
