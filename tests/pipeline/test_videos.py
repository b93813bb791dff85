"""Videos of a scene: camera and time of each frame."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import torch

from stag4d.geometry import OrbitPose
from stag4d.pipeline import write_bullet_time, write_turntable
from stag4d.scene import SH_C0, GaussianModel4D, Gaussians, SceneInfo

SIZE = 64


class RedRises:
    """A deformation that lifts the first Gaussian from y = 0 to y = 0.6."""

    def __call__(self, means: torch.Tensor, frame_times: torch.Tensor) -> SimpleNamespace:
        offsets = torch.zeros(len(frame_times), *means.shape)  # [T, N, 3]
        offsets[:, 0, 1] = 0.6 * frame_times
        return SimpleNamespace(means=offsets, quats=torch.zeros(1, len(means), 4), log_scales=None)


def clock(fps: float = 12.0) -> GaussianModel4D:
    """Return a red ball on the axis that rises with time, and a blue one beside it that shows the angle."""
    colors = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    gaussians = Gaussians(
        means=torch.tensor([[0.0, 0.0, 0.0], [0.5, -0.5, 0.0]]),
        log_scales=torch.full((2, 3), -2.5),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(2, 1),
        logit_opacities=torch.full((2,), 6.0),
        sh0=((colors - 0.5) / SH_C0)[:, None],
    )
    info = SceneInfo(num_frames=4, fps=fps, input_pose=OrbitPose(azimuth_deg=0.0))
    return GaussianModel4D(gaussians, RedRises(), info)


def read_clock(path: Path, fps: float = 12) -> tuple[np.ndarray, np.ndarray]:
    """Return the height of red and the horizontal position of blue in each frame, world units."""
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == fps
        decoded = [frame.to_ndarray(format="rgb24") / 255 for frame in container.decode(video=0)]
    images = np.stack(decoded)  # [T, S, S, 3]
    places = (np.arange(SIZE) + 0.5 - SIZE / 2) / (SIZE / 2) * 2 * np.tan(np.radians(49.1 / 2))
    difference = images[..., 0] - images[..., 2]  # 0 on white, also where the video blurs colors
    red, blue = np.maximum(difference - 0.3, 0), np.maximum(-difference - 0.3, 0)
    heights = -(red.sum(axis=2) * places).sum(axis=1) / red.sum(axis=(1, 2))
    rights = (blue.sum(axis=1) * places).sum(axis=1) / blue.sum(axis=(1, 2))
    return heights, rights


def test_a_turntable_turns_once_while_the_motion_repeats(tmp_path):
    write_turntable(tmp_path / "a.mp4", clock(), SIZE)
    heights, rights = read_clock(tmp_path / "a.mp4")
    np.testing.assert_allclose(np.diff(heights[:4]), 0.2, atol=0.05)
    np.testing.assert_allclose(heights[:4], heights[28:32], atol=0.05)
    turned = 0.5 * np.cos(np.radians(np.arange(60) * 6))
    np.testing.assert_allclose(rights, turned, atol=0.16)  # nearer than the axis it looks further out


def test_bullet_time_freezes_the_motion_while_the_camera_turns(tmp_path):
    write_bullet_time(tmp_path / "a.mp4", clock(), SIZE, frame=1)
    heights, rights = read_clock(tmp_path / "a.mp4")
    frames = np.array([0, 1, *[1] * 60, 2, 3])
    np.testing.assert_allclose(heights, 0.2 * frames, atol=0.05)
    turned = np.cos(np.radians([0, 0, *np.arange(1, 61) * 6, 0, 0]))
    np.testing.assert_allclose(rights, 0.5 * turned, atol=0.16)


def test_bullet_time_may_stop_at_either_end(tmp_path):
    for frame, frames in ((0, [0, *[0] * 60, 1, 2, 3]), (3, [0, 1, 2, 3, *[3] * 60])):
        write_bullet_time(tmp_path / "a.mp4", clock(), SIZE, frame)
        heights, _ = read_clock(tmp_path / "a.mp4")
        np.testing.assert_allclose(heights, 0.2 * np.array(frames), atol=0.05)


def test_a_slow_scene_shows_its_frames_several_times_and_turns_in_small_steps(tmp_path):
    write_turntable(tmp_path / "a.mp4", clock(fps=3.0), SIZE)
    heights, rights = read_clock(tmp_path / "a.mp4", fps=9)  # three images per frame
    assert len(heights) == 60
    np.testing.assert_allclose(np.diff(heights[:12].reshape(4, 3).mean(axis=1)), 0.2, atol=0.05)
    assert np.abs(np.diff(rights)).max() < 0.1  # the whole turn moves blue by two
    write_bullet_time(tmp_path / "b.mp4", clock(fps=3.0), SIZE, frame=1)
    heights, _ = read_clock(tmp_path / "b.mp4", fps=9)
    assert len(heights) == 12 + 60
    np.testing.assert_allclose(heights[[0, 2, 3, 65, 66, 71]], [0, 0, 0.2, 0.2, 0.4, 0.6], atol=0.05)
