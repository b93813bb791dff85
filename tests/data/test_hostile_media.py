"""Damaged and hostile images and videos: a ValueError that names the file, in bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from media_files import half_transparent, png_chunk, png_content, write_animation, write_video
from PIL import Image

from stag4d.data import decoding, read_video
from stag4d.data.png import read_image

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def num_row_bytes(width: int, height: int, is_interlaced: bool) -> int:
    """Return the number of bytes of the rows of an RGBA PNG, counted row by row."""
    total = 0
    for column, row, column_step, row_step in ADAM7 if is_interlaced else [(0, 0, 1, 1)]:
        columns = len(range(column, width, column_step))
        total += sum(1 + 4 * columns for _ in range(row, height, row_step) if columns)
    return total


@pytest.mark.parametrize("is_interlaced", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (9, 7), (100, 60)])
def test_png_needs_all_rows_that_it_declares(tmp_path, size, is_interlaced):
    needed = num_row_bytes(*size, is_interlaced)
    path = tmp_path / "rows.png"
    path.write_bytes(png_content(*size, needed, is_interlaced))
    assert read_image(path)[0].shape == (size[1], size[0], 3)
    path.write_bytes(png_content(*size, needed - 1, is_interlaced))
    with pytest.raises(ValueError, match=rf"rows\.png: .*\({needed - 1} of {needed} bytes of pixels\)"):
        read_image(path)


def test_16_bit_png_needs_all_rows(tmp_path, save_png_16):
    path = save_png_16(tmp_path / "rows.png", np.zeros((8, 8, 4), np.uint16))
    content = path.read_bytes()
    other = save_png_16(tmp_path / "other.png", np.zeros((7, 8, 4), np.uint16)).read_bytes()
    path.write_bytes(content[:33] + other[33:])  # the header of 8 rows with the data of 7
    with pytest.raises(ValueError, match=r"rows\.png: .*bytes of pixels"):
        read_image(path)


def test_every_frame_of_an_apng_needs_all_rows(tmp_path):
    path = write_animation(tmp_path / "a.png", [half_transparent(20), half_transparent(60)], 100)
    content = path.read_bytes()
    start = content.index(b"fdAT") - 4  # of the second frame: length, name, sequence number, data
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    rows = zlib.decompress(content[start + 12 : end - 4])
    for num_missing in (0, 1):
        data = content[start + 8 : start + 12] + zlib.compress(rows[: len(rows) - num_missing])
        write(path, content[:start] + png_chunk(b"fdAT", data) + content[end:])
        if num_missing == 0:
            assert len(read_video(path).frames) == 2
    with pytest.raises(ValueError, match=rf"a\.png: .*\({len(rows) - 1} of {len(rows)} bytes of pixels\)"):
        read_video(path)


def write(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path


def with_rows(path: Path, marker: bytes, offset: int, num_rows: bytes) -> Path:
    """Overwrite the number of rows that a file declares, ``offset`` bytes after a marker."""
    content = bytearray(path.read_bytes())
    start = content.index(marker) + offset
    content[start : start + len(num_rows)] = num_rows
    return write(path, content)


@pytest.mark.parametrize("is_progressive", [False, True])
def test_jpeg_needs_all_rows_that_it_declares(tmp_path, is_progressive):
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    path = tmp_path / "rows.jpg"
    Image.fromarray(noise).save(path, progressive=is_progressive)
    assert read_image(path)[0].shape == (24, 32, 3)
    with_rows(path, b"\xff\xc2" if is_progressive else b"\xff\xc0", 5, (240).to_bytes(2, "big"))
    with pytest.raises(ValueError, match=r"rows\.jpg: unreadable or cut short \(missing or damaged rows\)"):
        read_image(path)


def test_jpeg_that_is_cut_off_with_an_end_marker_is_rejected(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    content = (tmp_path / "cut.jpg").read_bytes()
    write(tmp_path / "cut.jpg", content[: len(content) // 2] + b"\xff\xd9")
    with pytest.raises(ValueError, match=r"cut\.jpg: unreadable or cut short"):
        read_image(tmp_path / "cut.jpg")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_whole_jpeg_of_every_mode_is_read(tmp_path, mode):
    Image.new("RGB", (20, 10), (9, 99, 199)).convert(mode).save(tmp_path / "whole.jpg")
    assert read_image(tmp_path / "whole.jpg")[0].shape == (10, 20, 3)


def test_formats_that_run_other_programs_are_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    for read in (read_image, read_video):
        with pytest.raises(
            ValueError, match=r"a\.png: unreadable or cut short \(none of PNG, JPEG, .*\); expected"
        ):
            read(write(tmp_path / "a.png", eps))


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile real.mp4\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=["playlist", "concat", "sdp"],
)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".sdp"])
def test_files_that_name_other_files_are_not_opened(tmp_path, content, suffix):
    write_video(tmp_path / "real.mp4", [half_transparent(9)])
    with pytest.raises(ValueError, match=rf"list\{suffix}: unreadable or cut short"):
        read_video(write(tmp_path / f"list{suffix}", content))


def test_heif_image_is_rejected_by_name(tmp_path):
    path = write(tmp_path / "photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(
        ValueError, match=r"photo\.heic: is a HEIF image; expected a video, or images in PNG or JPEG"
    ):
        read_video(path)


def test_image_of_more_than_16_bits_is_rejected(tmp_path):
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(ValueError, match=r"depth\.tif: has 32 bits a channel; expected at most 16"):
        read_image(tmp_path / "depth.tif")


def test_16_bit_gray_tiff_is_read_exactly(tmp_path):
    pixels = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4369
    Image.fromarray(pixels).save(tmp_path / "gray.tif")
    colors, alpha = read_image(tmp_path / "gray.tif")
    np.testing.assert_array_equal(np.rint(colors[..., 0] * 65535), pixels)
    assert alpha is None


def test_limits_grow_with_the_file():
    decoding.check_image_size(4032, 3024, 14_000)  # a mask of a photo
    decoding.check_image_size(10_000, 5000, 1000)
    decoding.check_image_size(12000, 9000, 8_000_000)
    for size in ((10_001, 5000), (0, 1), (1, 0)):
        with pytest.raises(
            ValueError, match=f"declares {size[0]}x{size[1]} pixels; expected at least one and at"
        ):
            decoding.check_image_size(*size, 1000)
    decoding.check_total_pixels(500 * 1920 * 1080, 1000)
    with pytest.raises(ValueError, match="pixels or more in all frames; expected at most"):
        decoding.check_total_pixels(600 * 1920 * 1080, 1000)
    decoding.check_result_size(Path("a"), 32, 1920 * 1080 * 4, 1000)
    with pytest.raises(
        ValueError, match=r"a: 33 frames need 274 MB; expected at most 268 MB .*keep fewer frames"
    ):
        decoding.check_result_size(Path("a"), 33, 1920 * 1080 * 4, 1000)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".mkv", ".mov"])
def test_too_many_frames_are_rejected_by_name(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(decoding, "_VIDEO_PIXELS_PER_BYTE", 0)
    frames = [half_transparent(50 * index) for index in range(4)]
    path = tmp_path / f"a{suffix}"
    if suffix in (".mkv", ".mov"):
        write_video(
            path, frames, "qtrle" if suffix == ".mov" else "mpeg4", "argb" if suffix == ".mov" else "yuv420p"
        )
    else:
        write_animation(path, frames, 100)
    for name in ("_MIN_VIDEO_PIXELS", "_MIN_ANIMATION_PIXELS"):
        monkeypatch.setattr(decoding, name, 4 * 48 * 64)
    assert len(read_video(path).frames) == 4
    for name in ("_MIN_VIDEO_PIXELS", "_MIN_ANIMATION_PIXELS"):
        monkeypatch.setattr(decoding, name, 4 * 48 * 64 - 1)
    with pytest.raises(ValueError, match=rf"a\{suffix}: has 12288 pixels or more in all frames"):
        read_video(path)


MEASURE = """
import resource, sys
from pathlib import Path
from stag4d.data import read_video

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000

before = peak_mb()
for name in sys.argv[1:]:
    try:
        read_video(Path(name))
        print(name, "accepted")
    except ValueError as error:
        if Path(name).name not in str(error):
            print(name, error)
print(round(peak_mb() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in kilobytes on Linux")
def test_small_files_that_declare_much_need_little_memory(tmp_path):
    frames = [half_transparent(50 * index) for index in range(2)]
    movie = write_video(tmp_path / "base.mov", frames, "qtrle", "argb").read_bytes()
    size, huge = (64).to_bytes(2, "big") + (48).to_bytes(2, "big"), b"\x7f\xff" * 2
    files = {
        "few_rows.png": png_content(13000, 13000, 60_000),
        "bomb.png": png_content(16000, 3200, num_row_bytes(16000, 3200, False)),
        "interlaced.png": png_content(13000, 13000, 60_000, interlaced=True),
        "huge.mov": movie.replace(size, huge),
        "huge.y4m": b"YUV4MPEG2 W30000 H30000 F8:1 Ip A1:1 C420\nFRAME\n" + bytes(100),
        "huge.bmp": b"BM" + bytes(12) + b"\x28\0\0\0" + b"\x30\x75\0\0" * 2 + b"\1\0\x18\0" + bytes(100),
        "huge.gif": b"GIF89a" + b"\xff\xff" * 2 + b"\0\0\0,\0\0\0\0" + b"\xff\xff" * 2 + b"\0\x02\x01\x44\0;",
    }
    paths = [write(tmp_path / name, content) for name, content in files.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *paths], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:-2] == []
    assert int(done.stdout) < 100


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("name", ["clip.mp4", "clip", "clip.png", "clip.gif"])
def test_a_pipe_is_refused_and_not_opened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}: is a pipe, socket or device; expected an? "):
        read_video(tmp_path / name)
