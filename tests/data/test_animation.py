"""Animations in image files: all frames as they are shown, and their durations."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from media_files import half_transparent, write_animation
from PIL import Image, features

from stag4d.data import read_video
from stag4d.data.png import read_image

LEVELS = [20, 60, 100, 140]
FRAMES = [half_transparent(level) for level in LEVELS]
SUFFIXES = [".gif", ".webp", ".png"]


def shown(path, *arguments):
    """Return the red levels of a video's frames, after checking that only their right half is transparent."""
    frames = read_video(path, *arguments).frames
    assert frames.shape[1:] == (48, 64, 4)
    assert (frames[:, :, :32, 3] == 255).all()
    assert (frames[:, :, 32:, 3] == 0).all()
    return frames[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_all_frames_and_their_transparency_are_read(tmp_path, suffix):
    path = write_animation(
        tmp_path / f"a{suffix}", FRAMES, 50, **({"disposal": 2} if suffix == ".gif" else {})
    )
    assert shown(path) == LEVELS
    video = read_video(path)
    assert video.fps == pytest.approx(20)
    assert video.names == [f"frame {index} of a{suffix}" for index in range(4)]
    assert video.indices == [0, 1, 2, 3]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
@pytest.mark.parametrize("name", ["a.avif", "a.bin"])
def test_avif_animation_is_read(tmp_path, name):
    path = write_animation(tmp_path / "a.avif", FRAMES, 50)
    path = path.rename(tmp_path / name)
    frames = read_video(path).frames
    assert np.abs(frames[:, 0, 0, 0].numpy().astype(int) - LEVELS).max() <= 4


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_ffmpeg_reads_avif_where_pillow_does_not(tmp_path, monkeypatch):
    animation = write_animation(tmp_path / "animation.avif", FRAMES, 50)
    Image.fromarray(FRAMES[1]).convert("RGB").save(tmp_path / "image.avif")
    monkeypatch.delitem(Image.OPEN, "AVIF")
    frames = read_video(tmp_path / "image.avif").frames
    assert frames.shape == (1, *FRAMES[1].shape[:2], 3)
    assert abs(int(frames[0, 0, 0, 0]) - LEVELS[1]) <= 4
    with pytest.raises(ValueError, match=r"animation\.avif: is an AVIF animation; expected Pillow 11\.3 or"):
        read_video(animation)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_are_chosen_by_time(tmp_path, suffix):
    # Frames are shown at 0, 0.1, 0.2 and 1 s; their middle in time is 0.5 s.
    path = write_animation(tmp_path / f"a{suffix}", FRAMES, [100, 100, 800, 100])
    video = read_video(path, 3)
    assert video.indices == [0, 2, 3]
    assert video.fps == pytest.approx(2)


def test_uneven_durations_of_all_frames_are_reported(tmp_path, caplog):
    path = write_animation(tmp_path / "a.webp", FRAMES, [100, 100, 800, 100])
    with caplog.at_level(logging.WARNING):
        video = read_video(path)
    assert len(video.frames) == 4
    assert video.fps == pytest.approx(3)
    assert "variable frame rate, and all 4 frames are kept; the scene plays them at a const" in caplog.text


def test_duration_of_the_last_frame_does_not_change_the_rate(tmp_path, caplog):
    path = write_animation(tmp_path / "a.webp", FRAMES, [100, 100, 100, 2000])
    assert read_video(path).fps == pytest.approx(10)
    assert not caplog.text


@pytest.mark.parametrize("duration", [0, 10])
def test_durations_that_browsers_do_not_play_are_a_tenth_of_a_second(tmp_path, duration):
    path = write_animation(tmp_path / "a.gif", FRAMES, duration)
    assert read_video(path).fps == pytest.approx(10)


def test_default_image_of_an_apng_is_not_a_frame(tmp_path):
    path = write_animation(tmp_path / "a.png", FRAMES, 50, default_image=True)
    assert shown(path) == LEVELS[1:]


def test_pages_of_a_tiff_are_frames(tmp_path):
    images = [Image.fromarray(pixels) for pixels in FRAMES]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    assert shown(tmp_path / "a.tif") == LEVELS
    assert shown(tmp_path / "a.tif", 2) == [LEVELS[0], LEVELS[3]]


def test_opaque_animation_has_no_alpha(tmp_path):
    path = write_animation(tmp_path / "a.webp", [pixels[..., :3] for pixels in FRAMES], 50)
    assert read_video(path).frames.shape == (4, 48, 64, 3)


def test_one_opaque_frame_keeps_the_alpha_of_the_others(tmp_path):
    opaque = np.full((48, 64, 4), 255, np.uint8)
    frames = read_video(write_animation(tmp_path / "a.webp", [FRAMES[0], opaque], 50)).frames
    assert frames.shape == (2, 48, 64, 4)
    assert (frames[1, ..., 3] == 255).all()


def test_animation_is_recognized_by_its_content(tmp_path):
    path = write_animation(tmp_path / "a.webp", FRAMES, 50)
    assert shown(path.rename(tmp_path / "a.mp4")) == LEVELS


def test_animation_among_images_is_rejected_by_name(tmp_path):
    write_animation(tmp_path / "0.webp", FRAMES, 50)
    with pytest.raises(ValueError, match=r"0\.webp: an animation in a folder of images; expected one image"):
        read_video(tmp_path)


def test_frame_rates_that_a_gif_rounds_are_even(tmp_path, caplog):
    path = write_animation(tmp_path / "a.gif", FRAMES, [30, 40, 30, 30])  # 30 a second
    assert read_video(path).fps == pytest.approx(30, rel=0.01)
    assert not caplog.text


def test_further_images_of_a_jpeg_are_not_frames(tmp_path):
    image = Image.fromarray(FRAMES[0][..., :3])
    image.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[image.rotate(90, expand=True)])
    assert read_video(tmp_path / "a.jpg").frames.shape == (1, 48, 64, 3)


def test_image_reader_returns_the_first_frame(tmp_path):
    colors, alpha = read_image(write_animation(tmp_path / "a.webp", FRAMES, 50))
    assert colors.shape == (48, 64, 3)
    np.testing.assert_allclose(colors[0, 0], [20 / 255, 128 / 255, 0])
    assert alpha[0].tolist() == [1.0] * 32 + [0.0] * 32
