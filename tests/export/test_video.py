"""MP4 files read back by FFmpeg."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from stag4d.export import video, write_mp4

COLORS = [(200, 40, 90), (10, 220, 30), (128, 128, 128)]


def constant_frames(height: int, width: int) -> list[np.ndarray]:
    """Return a constant uint8 image of each color."""
    return [np.full((height, width, 3), color, dtype=np.uint8) for color in COLORS]


def decode(path: Path) -> tuple[list[np.ndarray], str, Fraction]:
    """Return the frames, the codec and the frame rate of a file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, stream.codec_context.name, stream.average_rate


@pytest.mark.parametrize(("height", "width", "size"), [(32, 48, (32, 48)), (31, 47, (32, 48))])
def test_frames_colors_and_rate_are_kept(tmp_path, height, width, size):
    write_mp4(tmp_path / "new" / "a.mp4", constant_frames(height, width), 12.5)
    frames, codec, rate = decode(tmp_path / "new" / "a.mp4")
    assert (codec, rate) == ("h264", Fraction(25, 2))
    assert [frame.shape[:2] for frame in frames] == [size] * 3
    for frame, color in zip(frames, COLORS, strict=True):
        assert np.abs(frame.astype(int) - color).max() <= 4  # the padded column and row too


def test_uint8_float_and_tensor_frames_give_the_same_file(tmp_path):
    images = constant_frames(16, 16)
    write_mp4(tmp_path / "bytes.mp4", images, 8)
    write_mp4(tmp_path / "floats.mp4", (image.astype(np.float32) / 255 for image in images), 8)
    write_mp4(tmp_path / "tensors.mp4", (torch.from_numpy(image) / 255 for image in images), 8)
    contents = {path.read_bytes() for path in tmp_path.glob("*.mp4")}
    assert len(contents) == 1


def test_index_precedes_the_frames(tmp_path):
    write_mp4(tmp_path / "a.mp4", constant_frames(16, 16), 8)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_missing_h264_encoder_falls_back_to_mpeg4_with_a_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(video, "_H264", "no_such_encoder")
    with caplog.at_level(logging.WARNING):
        write_mp4(tmp_path / "a.mp4", constant_frames(32, 32), 8)
    frames, codec, _ = decode(tmp_path / "a.mp4")
    assert (codec, len(frames)) == ("mpeg4", 3)
    assert np.abs(frames[0].mean(axis=(0, 1)) - COLORS[0]).max() <= 4
    assert "no encoder no_such_encoder" in caplog.text


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        ([], 8, "no frames to write"),
        (constant_frames(8, 8), 0, "0 frames a second; expected 0.01 to 1000"),
        (constant_frames(8, 8), float("nan"), "nan frames a second"),
        (
            [*constant_frames(8, 8), np.zeros((8, 10, 3))],
            8,
            r"frame 3 has shape \[8, 10, 3\]; expected \[8, 8, 3\]",
        ),
        ([np.zeros((8, 8))], 8, r"frame 0 has shape \[8, 8\]; expected \[H, W, 3\]"),
        ([np.full((8, 8, 3), np.inf)], 8, "frame 0 is not finite everywhere"),
    ],
    ids=["no frames", "fps 0", "fps NaN", "other size", "gray", "infinite"],
)
def test_invalid_frames_are_rejected_and_leave_no_file(tmp_path, frames, fps, message):
    with pytest.raises(ValueError, match=rf"a\.mp4: {message}"):
        write_mp4(tmp_path / "a.mp4", frames, fps)
    assert not list(tmp_path.iterdir())


def test_unwritable_path_is_named(tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(RuntimeError, match=r"a\.mp4: cannot be written"):
        write_mp4(tmp_path / "file" / "a.mp4", constant_frames(8, 8), 8)


def moving_frames() -> list[np.ndarray]:
    """Return a textured disk that moves on white: content for which encoders have choices."""
    texture = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    texture = texture.repeat(8, axis=0).repeat(8, axis=1)  # [128, 128, 3]
    ys, xs = np.mgrid[:128, :128]
    frames = []
    for index in range(40):
        is_inside = (xs - 64 - 30 * np.sin(index / 6)) ** 2 + (ys - 64) ** 2 < 40**2
        moved = np.roll(texture, 3 * index, axis=1)
        frames.append(np.where(is_inside[..., None], moved, np.uint8(255)))
    return frames


@pytest.mark.parametrize("encoder", ["libx264", "mpeg4"])
def test_the_bytes_do_not_depend_on_threads_or_time(tmp_path, monkeypatch, encoder):
    monkeypatch.setattr(video, "_H264", encoder)
    frames = moving_frames()
    names = [f"{number}.mp4" for number in range(4)]
    with ThreadPoolExecutor(len(names)) as pool:  # they disturb one another
        list(pool.map(lambda name: write_mp4(tmp_path / name, frames, 8), names))
    contents = {(tmp_path / name).read_bytes() for name in names}
    assert len(contents) == 1
    (content,) = contents
    assert b"Lavf" not in content  # FFmpeg's version
    assert b"threads=1 " in content or encoder == "mpeg4"  # x264 records its settings
