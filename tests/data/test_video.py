"""Videos and image folders: which frames are read, in what order, at what rate, and what is rejected."""

from __future__ import annotations

import struct
import tracemalloc
import wave
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from stag4d.data import read_video, subsampled_fps

GRAYS = [20, 50, 80, 110, 140, 170, 200, 230, 245]  # of a video's frames; a codec changes them by 1 or 2


def gray(level: int, width: int = 6, height: int = 4) -> np.ndarray:
    """Return a constant gray image, uint8 [height, width, 3]."""
    return np.full((height, width, 3), level, np.uint8)


def with_alpha(level: int, corner: int = 0) -> np.ndarray:
    """Return a gray image of alpha 255, but for ``corner`` in its first pixel, uint8 [4, 6, 4]."""
    pixels = np.concatenate([gray(level), np.full((4, 6, 1), 255, np.uint8)], axis=-1)
    pixels[0, 0, 3] = corner
    return pixels


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an image in the format of the file's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def levels(frames: torch.Tensor) -> list[int]:
    """Return the gray level of each frame's last pixel."""
    return frames[:, -1, -1, 0].tolist()


def write_video(path: Path, grays: list[int], fps: Fraction) -> Path:
    """Write a video of 32 x 16 pixels, one gray level a frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for level in grays:
            frame = av.VideoFrame.from_ndarray(gray(level, 32, 16), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Nine frames at 12 a second."""
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4", GRAYS, Fraction(12))


@pytest.fixture
def numbered(tmp_path) -> Path:
    """A folder of 0.png to 10.png, grays of ten times their number."""
    for number in range(11):
        save(tmp_path / "numbered" / f"{number}.png", gray(10 * number))
    return tmp_path / "numbered"


def test_images_are_read_in_numeric_order(numbered):
    video = read_video(numbered)
    frames, fps = video.frames, video.fps
    assert (frames.dtype, frames.shape, fps) == (torch.uint8, (11, 4, 6, 3), 8.0)
    assert levels(frames) == [10 * number for number in range(11)]


@pytest.mark.parametrize(
    "names",
    [
        ["2.png", "10.png"],
        ["walk_2.png", "walk_10.png"],
        ["take2_9.png", "take10_1.png"],
        ["0002.png", "0010.png"],
        ["9_rgba.png", "10_rgba.png"],
        ["2.PNG", "10.png"],
    ],
)
def test_names_are_sorted_by_the_value_of_every_number(tmp_path, names):
    for name, level in zip(reversed(names), (200, 100), strict=True):
        save(tmp_path / name, gray(level))
    assert levels(read_video(tmp_path).frames) == [100, 200]


@pytest.mark.parametrize(
    ("num_frames", "kept"),
    [
        (0, list(range(11))),
        (1, [0]),
        (2, [0, 10]),
        (3, [0, 5, 10]),
        (5, [0, 2, 5, 8, 10]),  # 2.5 and 7.5 are rounded to even
        (6, [0, 2, 4, 6, 8, 10]),
        (11, list(range(11))),
        (99, list(range(11))),
    ],
)
def test_kept_images_are_evenly_spaced_from_first_to_last(numbered, num_frames, kept):
    video = read_video(numbered, num_frames)
    frames, fps = video.frames, video.fps
    assert levels(frames) == [10 * number for number in kept]
    duration = 10 / 8  # seconds from the first to the last frame
    assert fps == pytest.approx((len(kept) - 1) / duration if len(kept) > 1 else 8.0)


def test_dropped_images_are_not_read(numbered):
    (numbered / "5.png").write_bytes(b"?")
    assert levels(read_video(numbered, 2).frames) == [0, 100]


def test_alpha_is_the_fourth_channel(tmp_path):
    images = [with_alpha(30, corner=0), with_alpha(60, corner=77)]
    for number, pixels in enumerate(images):
        save(tmp_path / f"{number}.png", pixels)
    np.testing.assert_array_equal(read_video(tmp_path).frames.numpy(), np.stack(images))


def test_alpha_that_is_opaque_throughout_is_dropped(tmp_path):
    save(tmp_path / "0.png", with_alpha(30, corner=255))
    save(tmp_path / "1.png", gray(60))
    frames = read_video(tmp_path).frames
    assert frames.shape == (2, 4, 6, 3)
    assert levels(frames) == [30, 60]


def test_all_image_formats_are_read(tmp_path):
    names = ["0.png", "1.jpg", "2.JPEG", "3.webp", "4.bmp", "5.tif", "6.tiff"]
    for number, name in enumerate(names):
        save(tmp_path / name, gray(30 * number, 16, 16))
    for name in ("3.txt", "clip.mp4", "thumbs.db"):
        (tmp_path / name).write_text("not an image")
    frames = read_video(tmp_path).frames
    assert frames.shape == (7, 16, 16, 3)
    assert all(abs(level - 30 * number) <= 2 for number, level in enumerate(levels(frames)))  # JPEG


def test_gray_and_palette_images_become_rgb(tmp_path):
    save(tmp_path / "0.png", gray(30)[..., 0])
    Image.fromarray(gray(60)).quantize(4).save(tmp_path / "1.png")
    frames = read_video(tmp_path).frames
    assert frames.shape == (2, 4, 6, 3)
    assert levels(frames) == [30, 60]


def test_16_bits_are_rounded_to_8(tmp_path, save_png_16):
    pixels = np.zeros((1, 4, 4), np.uint16)
    pixels[0, :, 0] = [0, 257 * 99, 257 * 99 + 128, 257 * 99 + 129]  # a level is 257: 128.5 is half of one
    pixels[..., 3] = 257 * 128
    save_png_16(tmp_path / "0.png", pixels)
    frames = read_video(tmp_path).frames
    assert frames[0, 0, :, 0].tolist() == [0, 99, 99, 100]
    assert frames[0, 0, :, 3].tolist() == [128] * 4


def test_input_frames_of_a_view_folder_are_read(tmp_path):
    for number in range(3):
        save(tmp_path / "ref" / f"{number}_rgba.png", with_alpha(40 * number))
        save(tmp_path / "zero123" / f"{number}_rgba" / "0.png", with_alpha(255))
    frames = read_video(tmp_path).frames
    assert frames.shape == (3, 4, 6, 4)
    assert levels(frames) == [0, 40, 80]


def test_image_file_is_a_video_of_one_frame(tmp_path):
    save(tmp_path / "0.png", with_alpha(40))
    video = read_video(tmp_path / "0.png")
    assert video.frames.shape == (1, 4, 6, 4)
    assert video.names == ["0.png"]


def test_hidden_files_are_ignored(tmp_path):
    for name in ("0.png", "._0.png"):
        save(tmp_path / name, gray(10))
    assert read_video(tmp_path).names == ["0.png"]


def test_contact_sheet_in_a_view_folder_is_not_a_frame(tmp_path):
    save(tmp_path / "ref" / "0_rgba.png", with_alpha(40))
    save(tmp_path / "views.png", gray(255, 20, 20))
    assert read_video(tmp_path).frames.shape == (1, 4, 6, 4)


def test_superscript_digits_in_names_are_not_numbers(tmp_path):
    for name in ("²1.png", "²2.png"):
        save(tmp_path / name, gray(10))
    assert len(read_video(tmp_path).frames) == 2


@pytest.mark.parametrize(
    ("num_frames", "kept"),
    [(0, range(9)), (1, [0]), (2, [0, 8]), (3, [0, 4, 8]), (4, [0, 3, 5, 8]), (9, range(9)), (50, range(9))],
)
def test_kept_frames_of_a_video_are_evenly_spaced_and_last_as_long(video, num_frames, kept):
    video = read_video(video, num_frames)
    frames, fps = video.frames, video.fps
    assert (frames.dtype, frames.shape) == (torch.uint8, (len(kept), 16, 32, 3))
    differences = np.abs(np.array(levels(frames))[:, None] - np.array(GRAYS))  # [kept, 9]
    assert differences.argmin(axis=1).tolist() == list(kept)
    assert fps == pytest.approx(12 * (len(kept) - 1) / 8 if len(kept) > 1 else 12)


@pytest.mark.parametrize(
    ("fps", "count", "kept", "expected"),
    [(24, 97, 16, 3.75), (24, 97, 97, 24), (12, 9, 3, 3), (12, 9, 1, 12), (12, 1, 1, 12), (30, 2, 2, 30)],
)
def test_subsampled_fps_keeps_the_duration(fps, count, kept, expected):
    assert subsampled_fps(fps, count, kept) == pytest.approx(expected)


def test_fractional_frame_rate_is_read(tmp_path):
    path = write_video(tmp_path / "clip.mp4", GRAYS[:3], Fraction(30000, 1001))
    assert read_video(path).fps == pytest.approx(29.97003)


def test_a_single_frame_keeps_the_frame_rate(tmp_path):
    save(tmp_path / "folder" / "only.png", gray(70))
    path = write_video(tmp_path / "clip.mp4", [70], Fraction(10))
    for source, fps in ((tmp_path / "folder", 8), (path, 10)):
        for num_frames in (0, 1, 5):
            video = read_video(source, num_frames)
            assert (len(video.frames), video.fps) == (1, fps)
            assert abs(levels(video.frames)[0] - 70) <= 2


def test_path_may_be_a_string(numbered):
    assert len(read_video(str(numbered), 3).frames) == 3


CORNERS = np.array([[[10, 10, 10], [90, 90, 90]], [[170, 170, 170], [250, 250, 250]]], np.uint8)
"""Upright: 10 and 90 above 170 and 250."""


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        # Stored pixels, row by row, for each EXIF orientation, and where its row 0 and column 0 are shown.
        (1, [[10, 90], [170, 250]]),  # top, left
        (2, [[90, 10], [250, 170]]),  # top, right
        (3, [[250, 170], [90, 10]]),  # bottom, right
        (4, [[170, 250], [10, 90]]),  # bottom, left
        (5, [[10, 170], [90, 250]]),  # left, top
        (6, [[90, 250], [10, 170]]),  # right, top: the camera was held upright
        (7, [[250, 90], [170, 10]]),  # right, bottom
        (8, [[170, 10], [250, 90]]),  # left, bottom
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_exif_orientation_is_applied(tmp_path, orientation, stored, suffix):
    pixels = np.repeat(np.array(stored, np.uint8)[..., None], 3, axis=-1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / f"0{suffix}", exif=exif)
    np.testing.assert_array_equal(read_video(tmp_path).frames[0].numpy(), CORNERS)


def test_exif_orientation_is_applied_to_16_bit_images(tmp_path, save_png_16):
    stored = np.repeat(np.array([[90, 250], [10, 170]], np.uint16)[..., None] * 257, 3, axis=-1)
    path = save_png_16(tmp_path / "0.png", stored)
    content = path.read_bytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(content[:33] + chunk + content[33:])  # after signature and header
    np.testing.assert_array_equal(read_video(tmp_path).frames[0].numpy(), CORNERS)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((0, 1, -1, 0), (0, -1)),  # x to down, y to left: clockwise, a phone held upright
        ((-1, 0, 0, -1), (-1, -1)),
        ((0, -1, 1, 0), (-1, 0)),
    ],
)
def test_display_matrix_of_a_video_is_applied(tmp_path, matrix, corner):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        pixels = np.full((16, 32, 3), 40, np.uint8)
        pixels[:8, :8] = 220  # the corner at the top left
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44  # ISO 14496-12: 3 x 3 numbers, a b u, c d v, x y w
    a, b, c, d = (number * 65536 for number in matrix)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    frames = read_video(path).frames.float()
    assert frames.shape == ((1, 32, 16, 3) if matrix[0] == 0 else (1, 16, 32, 3))
    rows, columns = (slice(0, 8) if side == 0 else slice(-8, None) for side in corner)
    assert frames[0, rows, columns].mean() > 200
    assert (frames[0].mean(dim=-1) > 130).sum() <= 1.3 * 64  # and nowhere else


def test_frames_are_held_in_memory_once(tmp_path):
    for number in range(60):
        save(tmp_path / f"{number}.png", gray(number, 48, 48))
    read_video(tmp_path)  # fills caches of the libraries
    tracemalloc.start()
    video = read_video(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert video.frames.numel() == 60 * 48 * 48 * 3
    assert peak < 1.5 * video.frames.numel()


def test_video_with_frames_of_several_sizes_is_rejected(tmp_path):
    path = tmp_path / "clip.mjpeg"  # a sequence of JPEG images
    path.write_bytes(
        b"".join(save(tmp_path / "0.jpg", gray(90, *size)).read_bytes() for size in ((32, 16), (16, 32)))
    )
    with pytest.raises(
        ValueError, match=r"frame 1 of .*clip.mjpeg: 16x32 pixels; expected 32x16, as frame 0 of"
    ):
        read_video(path)


def silence(folder: Path) -> Path:
    """Write one second of silent audio."""
    with wave.open(str(folder / "silence.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    return folder / "silence.wav"


def text(name: str, content: bytes = b"hello\n" * 40) -> Callable[[Path], Path]:
    """Return a function that writes a file that is no video."""

    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def image_folder(*images: np.ndarray) -> Callable[[Path], Path]:
    """Return a function that writes a folder of images."""

    def write(folder: Path) -> Path:
        for number, pixels in enumerate(images):
            save(folder / f"{number}.png", pixels)
        return folder

    return write


def truncated_image(folder: Path) -> Path:
    """Write an image and a truncated one."""
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    image_folder(noise, noise)(folder)
    content = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(content[: len(content) * 3 // 4])
    return folder


def truncated_video(folder: Path) -> Path:
    """Write an MP4 without its second half, which holds the index."""
    path = write_video(folder / "clip.mp4", GRAYS, Fraction(8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


INVALID_SOURCES = {
    "nothing": (
        lambda folder: folder / "none",
        FileNotFoundError,
        "none: no such file or folder; expected a video file or a folder of images.",
    ),
    "an empty folder": (
        lambda folder: folder,
        FileNotFoundError,
        "no images; expected files such as 0.png, 1.png or 0.jpg.",
    ),
    "no images": (lambda folder: text("a.txt")(folder).parent, FileNotFoundError, ": no images;"),
    "text": (text("clip.mp4"), ValueError, r"clip.mp4: unreadable or cut short \(.*\); expected a video"),
    "an empty file": (text("clip.mp4", b""), ValueError, "clip.mp4: unreadable or cut short"),
    "a truncated video": (truncated_video, ValueError, "clip.mp4: unreadable or cut short"),
    "sound": (silence, ValueError, "silence.wav: has no video; expected a video file or a folder of images."),
    "a truncated image": (
        truncated_image,
        ValueError,
        r"1.png: unreadable or cut short \(.*\); expected a whole",
    ),
    "sizes": (
        image_folder(gray(1), gray(2), gray(3, 5, 4)),
        ValueError,
        "2.png: 5x4 pixels; expected 6x4, as .*0.png.",
    ),
    "some without alpha": (
        image_folder(with_alpha(1), gray(2)),
        ValueError,
        "1.png: has no alpha; expected alpha, as .*0.png.",
    ),
    "some opaque": (
        image_folder(with_alpha(1), with_alpha(2, corner=255)),
        ValueError,
        "1.png: has no alpha;",
    ),
    "some with alpha": (
        image_folder(gray(1), with_alpha(2)),
        ValueError,
        "1.png: has alpha; expected none, as .*0.png.",
    ),
}


@pytest.mark.parametrize("case", INVALID_SOURCES)
def test_invalid_source_is_rejected(tmp_path, case):
    make, kind, message = INVALID_SOURCES[case]
    with pytest.raises(kind, match=message):
        read_video(make(tmp_path))


def test_negative_number_of_frames_is_rejected(numbered):
    with pytest.raises(ValueError, match=r"video: -1 frames; expected 0 \(all\) or more"):
        read_video(numbered, -1)
