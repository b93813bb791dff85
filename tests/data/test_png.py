"""PNG files of every kind and other image formats, against pixels written by other code."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stag4d.data.png import read_image, write_png

RNG = np.random.default_rng(3)
COLORS = RNG.integers(0, 256, (9, 7, 4), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_8_bit_files_are_read_exactly(tmp_path, save_png, channels):
    pixels = COLORS[..., :channels]
    path = save_png(tmp_path / "a.png", pixels.squeeze(-1) if channels == 1 else pixels)
    colors, alpha = read_image(path)
    expected = np.repeat(pixels[..., :1], 3, axis=-1) if channels < 3 else pixels[..., :3]
    np.testing.assert_array_equal(colors, expected.astype(np.float32) / 255)
    if channels in (2, 4):
        np.testing.assert_array_equal(alpha, pixels[..., -1].astype(np.float32) / 255)
    else:
        assert alpha is None


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_files_are_read_exactly(tmp_path, save_png_16, channels):
    pixels = RNG.integers(0, 65536, (5, 37, channels), dtype=np.uint16)  # FFmpeg pads rows of 37 pixels
    colors, alpha = read_image(save_png_16(tmp_path / "a.png", pixels))
    expected = np.repeat(pixels[..., :1], 3, axis=-1) if channels < 3 else pixels[..., :3]
    np.testing.assert_array_equal(np.rint(colors * 65535), expected)
    assert (alpha is None) == (channels in (1, 3))
    if alpha is not None:
        np.testing.assert_array_equal(np.rint(alpha * 65535), pixels[..., -1])


def test_palette_files_with_and_without_transparency(tmp_path):
    indexed = Image.fromarray(np.array([[0, 1], [1, 0]], dtype=np.uint8)).convert("P")
    indexed.putpalette([255, 0, 0, 0, 0, 255])
    indexed.save(tmp_path / "plain.png")
    indexed.save(tmp_path / "clear.png", transparency=b"\x00\xff")
    for name in ("plain", "clear"):
        colors, _ = read_image(tmp_path / f"{name}.png")
        assert colors.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]]]
    assert read_image(tmp_path / "plain.png")[1] is None
    assert read_image(tmp_path / "clear.png")[1].tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("name", "channels", "options"),
    [
        ("a.bmp", 3, {}),
        ("a.tiff", 4, {}),
        ("a.webp", 4, {"lossless": True, "exact": True}),
        ("a.jpg", 3, {"quality": 100, "subsampling": 0}),
    ],
)
def test_other_image_formats_are_read(tmp_path, name, channels, options):
    pixels = np.ascontiguousarray(np.repeat(np.repeat(COLORS[:2, :2, :channels], 8, axis=0), 8, axis=1))
    Image.fromarray(pixels).save(tmp_path / name, **options)
    colors, alpha = read_image(tmp_path / name)
    np.testing.assert_allclose(colors, pixels[..., :3] / 255, atol=3 / 255 if name == "a.jpg" else 1e-6)
    assert (alpha is None) == (channels == 3)
    if alpha is not None:
        np.testing.assert_allclose(alpha, pixels[..., 3] / 255, atol=1e-6)


def test_png_without_pixels_is_rejected_by_name(tmp_path, save_png):
    path = save_png(tmp_path / "bare.png", np.zeros((4, 4, 4), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[:33] + whole[-12:])  # signature, IHDR and IEND
    with pytest.raises(ValueError, match=r"bare\.png: unreadable or cut short"):
        read_image(path)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("end", [0, 20, 500, -400, -20, -12])
def test_truncated_file_is_rejected_by_name(tmp_path, save_png, save_png_16, bits, end):
    pixels = RNG.integers(0, 256, (32, 32, 4))
    save, kind = {8: (save_png, np.uint8), 16: (save_png_16, np.uint16)}[bits]
    path = save(tmp_path / "cut.png", pixels.astype(kind))
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match=r"cut\.png: unreadable or cut short"):
        read_image(path)


def test_damaged_foreign_or_missing_file_is_rejected_by_name(tmp_path, save_png):
    path = save_png(tmp_path / "bad.png", RNG.integers(0, 256, (32, 32, 4), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"bad\.png: unreadable"):
        read_image(path)
    path.write_text("no image")
    with pytest.raises(ValueError, match=r"bad\.png: unreadable"):
        read_image(path)
    with pytest.raises(FileNotFoundError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")


def test_written_values_are_clipped_and_rounded_to_the_nearest_level(tmp_path):
    colors = np.array([[[-0.5, 0.499 / 255, 0.501 / 255]]], dtype=np.float32)
    write_png(tmp_path / "new" / "a.png", colors, np.array([[1.5]], dtype=np.float32))
    assert np.asarray(Image.open(tmp_path / "new" / "a.png")).tolist() == [[[0, 0, 1, 255]]]


def test_unwritable_path_is_named(tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(RuntimeError, match=r"a\.png: cannot be written"):
        write_png(tmp_path / "file" / "a.png", np.zeros((1, 1, 3)), np.zeros((1, 1)))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(RuntimeError, match=r"folder\.png: cannot be written"):
        write_png(tmp_path / "folder.png", np.zeros((1, 1, 3)), np.zeros((1, 1)))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.png"]
