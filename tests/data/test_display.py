"""What a file says about how its frames are shown: rotation, aspect, times, colors, and their alpha."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_files import HEIGHT, WIDTH, half_transparent, set_display_matrix, write_planes, write_video

from stag4d.data import read_video

LEVELS = [20, 60, 100, 140, 180]
FRAMES = [half_transparent(level) for level in LEVELS]


def reds(path: Path, *arguments, **options) -> list[int]:
    """Return the red level of each frame's first pixel, rounded to the levels."""
    found = read_video(path, *arguments, **options).frames[:, 0, 0, 0].numpy().astype(int)
    nearest = np.abs(found[:, None] - LEVELS).argmin(axis=1)
    assert np.abs(found - np.array(LEVELS)[nearest]).max() <= 6  # lossy codecs
    return [LEVELS[index] for index in nearest]


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.webm", "libvpx", "yuva420p"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
        ("a.mkv", "ffv1", "bgra"),
    ],
)
def test_alpha_of_a_video_is_read(tmp_path, name, codec, pixel_format):
    options = {"auto-alt-ref": "0"} if codec.startswith("libvpx") else {}
    path = write_video(tmp_path / name, FRAMES, codec, pixel_format, options=options)
    frames = read_video(path).frames
    assert frames.shape == (5, HEIGHT, WIDTH, 4)
    assert (frames[:, :, :31, 3] >= 250).all()
    assert (frames[:, :, 33:, 3] <= 5).all()
    assert reds(path) == LEVELS
    assert reds(path, 3) == LEVELS[::2]


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"), [("a.mov", "qtrle", "argb"), ("a.mkv", "ffv1", "bgra")]
)
def test_opaque_video_has_no_alpha(tmp_path, name, codec, pixel_format):
    opaque = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    path = write_video(tmp_path / name, [opaque] * 2, codec, pixel_format)
    assert read_video(path).frames.shape == (2, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("matrix", "corner", "is_turned"),
    [
        # Where the corner at the top left is shown: (right, bottom).
        ((1, 0, 0, 1), (False, False), False),
        ((-1, 0, 0, 1), (True, False), False),  # mirrored
        ((1, 0, 0, -1), (False, True), False),  # upside down mirrored
        ((-1, 0, 0, -1), (True, True), False),
        ((0, 1, -1, 0), (True, False), True),  # clockwise
        ((0, -1, 1, 0), (False, True), True),
        ((0, 1, 1, 0), (False, False), True),  # mirrored at the diagonal
        ((0, -1, -1, 0), (True, True), True),
    ],
)
def test_rotation_and_mirroring_are_applied(tmp_path, matrix, corner, is_turned):
    pixels = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    pixels[:8, :16] = 220
    path = set_display_matrix(write_video(tmp_path / "a.mp4", [pixels]), matrix)
    frame = read_video(path).frames[0].float()
    assert frame.shape == ((WIDTH, HEIGHT, 3) if is_turned else (HEIGHT, WIDTH, 3))
    rows, columns = (16, 8) if is_turned else (8, 16)
    is_right, is_bottom = corner
    shown = frame.flip(0) if is_bottom else frame
    shown = shown.flip(1) if is_right else shown
    assert shown[:rows, :columns].mean() > 200
    assert (frame.mean(dim=-1) > 130).sum() <= 1.3 * rows * columns  # and nowhere else


def test_rotation_by_other_than_right_angles_is_rejected(tmp_path):
    path = set_display_matrix(write_video(tmp_path / "a.mp4", FRAMES[:1]), (0.7, 0.7, -0.7, 0.7))
    with pytest.raises(
        ValueError, match=r"a\.mp4: has display matrix 0\.6.*; expected rotation by right angles"
    ):
        read_video(path)


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(2), (48, 128)), (Fraction(4, 3), (48, 85)), (Fraction(1, 2), (96, 64))]
)
@pytest.mark.parametrize(
    ("codec", "pixel_format"), [("mpeg4", "yuv420p"), ("libx264", "yuv420p"), ("qtrle", "argb")]
)
def test_pixels_become_square(tmp_path, aspect, size, codec, pixel_format):
    path = tmp_path / ("a.mov" if codec == "qtrle" else "a.mp4")
    write_video(path, FRAMES, codec, pixel_format, attributes={"sample_aspect_ratio": aspect})
    frames = read_video(path).frames
    assert frames.shape[1:3] == size
    assert reds(path) == LEVELS
    if codec == "qtrle":
        assert (frames[:, :, : size[1] // 2 - 2, 3] == 255).all()
        assert (frames[:, :, size[1] // 2 + 2 :, 3] == 0).all()
        assert (frames[..., 0][frames[..., 3] > 0] >= 20).all()  # no color of transparent pixels mixed in


def test_aspect_belongs_to_the_stored_pixels(tmp_path):
    path = write_video(tmp_path / "a.mp4", FRAMES, attributes={"sample_aspect_ratio": Fraction(2)})
    assert read_video(set_display_matrix(path, (0, 1, -1, 0))).frames.shape == (5, 128, 48, 3)


@pytest.mark.parametrize(("first", "count"), [(0, 5), (2, 3), (1, 2)])
def test_edit_list_is_applied(tmp_path, first, count):
    path = write_video(tmp_path / "a.mp4", FRAMES)
    content = bytearray(path.read_bytes())
    (timescale,) = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)
    # ISO 14496-12: version and flags, number of edits, duration in the movie's milliseconds, start, rate.
    struct.pack_into(
        ">IiI", content, content.index(b"elst") + 12, count * 125, first * timescale // 8, 1 << 16
    )
    path.write_bytes(content)
    assert reds(path) == LEVELS[first : first + count]
    assert read_video(path).fps == pytest.approx(8)


TIMES_MS = [0, 100, 200, 300, 1000]


@pytest.mark.parametrize(
    ("num_frames", "kept", "fps"),
    [(0, [0, 1, 2, 3, 4], 4), (3, [0, 3, 4], 2), (2, [0, 4], 1), (4, [0, 3, 4, 4], 3)],
)
def test_frames_of_a_variable_rate_are_chosen_by_time(tmp_path, num_frames, kept, fps):
    path = write_video(tmp_path / "a.mkv", FRAMES, times_ms=TIMES_MS)
    video = read_video(path, num_frames)
    assert video.indices == kept
    assert reds(path, num_frames) == [LEVELS[index] for index in kept]
    assert video.fps == pytest.approx(fps)


def test_rounded_times_of_a_constant_rate_are_even(tmp_path, caplog):
    path = write_video(tmp_path / "a.mkv", FRAMES, fps=Fraction(30000, 1001))  # Matroska rounds to 1 ms
    assert read_video(path).fps == pytest.approx(29.97, abs=0.01)
    assert read_video(path, 3).indices == [0, 2, 4]
    assert not caplog.text


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        (0, None, [0, 1, 2, 3, 4]),
        (0.25, None, [2, 3, 4]),
        (0.2, 0.375, [2]),
        (0, 0.25, [0, 1]),
        (0.5, 9, [4]),
    ],
)
def test_frames_from_start_up_to_end_are_read(tmp_path, start, end, kept):
    path = write_video(tmp_path / "a.mp4", FRAMES)
    video = read_video(path, start=start, end=end)
    assert video.indices == kept
    assert video.fps == pytest.approx(8)
    assert reds(path, start=start, end=end) == [LEVELS[index] for index in kept]


def test_kept_frames_between_start_and_end_are_evenly_spaced(tmp_path):
    video = read_video(write_video(tmp_path / "a.mp4", FRAMES), 2, start=0.125, end=0.5)
    assert video.indices == [1, 3]
    assert video.fps == pytest.approx(4)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (-1, None, r"frames from -1 s to the end; expected 0 <= start < end"),
        (0.5, 0.25, r"frames from 0\.5 s to 0\.25 s; expected 0 <= start < end"),
        (float("nan"), None, r"frames from nan s"),
        (
            9,
            None,
            r"no frame from 9 s to its end; expected some of its 5 frames, which are shown from 0 to 0\.5 s",
        ),
        (0.3, 0.31, r"no frame from 0\.3 s to 0\.31 s"),
    ],
)
def test_empty_range_is_rejected(tmp_path, start, end, message):
    path = write_video(tmp_path / "a.mp4", FRAMES)
    with pytest.raises(ValueError, match=message):
        read_video(path, start=start, end=end)


def test_interlaced_video_is_reported(tmp_path, caplog):
    options = {"flags": "+ilme+ildct"}
    path = write_video(tmp_path / "a.mkv", FRAMES, "mpeg2video", fps=25, options=options)
    assert len(read_video(path).frames) == 5
    assert caplog.text.count("a.mkv: is interlaced") == 1
    caplog.clear()
    read_video(write_video(tmp_path / "b.mkv", FRAMES, "mpeg2video", fps=25))
    assert not caplog.text


def test_video_that_is_cut_short_is_reported(tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / "cut.mkv", [noise] * 40, "mjpeg", "yuvj420p")
    assert len(read_video(path).frames) == 40
    assert not caplog.text
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 15 < len(read_video(path).frames) < 25
    assert "cut.mkv: frames end after" in caplog.text


LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Weights of red and blue of each color matrix, ITU-T H.273."""


def decoded(y: float, u: float, v: float, matrix: int, is_full: bool) -> np.ndarray:
    """Return the 8-bit RGB of 8-bit YUV, by definition."""
    red, blue = LUMA[matrix]
    luma = y / 255 if is_full else (y - 16) / 219
    scale = 255 if is_full else 224
    cb, cr = (u - 128) / scale, (v - 128) / scale
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.array([r, g, b]) * 255, 0, 255)


@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("color_range", [1, 2])
@pytest.mark.parametrize("bits", [8, 10])
def test_color_matrix_and_range_are_applied(tmp_path, matrix, color_range, bits):
    pixel_format = "yuv444p" if bits == 8 else "yuv444p10le"
    planes = [value << (bits - 8) for value in (120, 100, 160)]
    path = write_planes(
        tmp_path / "a.mkv", planes, pixel_format, {"colorspace": matrix, "color_range": color_range}
    )
    frame = read_video(path).frames[0].numpy().astype(float)
    assert np.abs(frame - decoded(120, 100, 160, matrix, color_range == 2)).max() <= 2.5


def test_unspecified_colors_are_those_of_bt601_in_limited_range(tmp_path):
    path = write_planes(tmp_path / "a.mkv", (120, 100, 160), "yuv444p", {})
    frame = read_video(path).frames[0].numpy().astype(float)
    assert np.abs(frame - decoded(120, 100, 160, 6, is_full=False)).max() <= 2


def test_color_matrix_that_is_not_supported_is_rejected_by_name(tmp_path):
    path = write_planes(tmp_path / "a.mkv", (120, 100, 160), "yuv444p", {"colorspace": 8})  # YCgCo
    with pytest.raises(ValueError, match=r"a\.mkv: has color matrix 8 of ITU-T H\.273; expected BT\.601"):
        read_video(path)


@pytest.mark.parametrize(("transfer", "name"), [(8, "linear light"), (9, "log"), (17, "SMPTE ST 428-1")])
def test_transfer_that_is_not_supported_is_rejected_by_name(tmp_path, transfer, name):
    path = write_planes(tmp_path / "a.mkv", (120, 100, 160), "yuv444p", {"color_trc": transfer})
    with pytest.raises(
        ValueError, match=rf"a\.mkv: has transfer characteristics {name}; expected SDR, HLG or PQ"
    ):
        read_video(path)


def test_dolby_vision_without_a_base_layer_is_rejected_by_name(tmp_path):
    path = write_video(tmp_path / "a.mp4", FRAMES, "libx264")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"avc1", b"dvav"))
    with pytest.raises(
        ValueError, match=r"a\.mp4: is Dolby Vision without an HLG or PQ base layer; expected SDR"
    ):
        read_video(path)


def hdr_signal(level: float, bits: int = 10) -> int:
    """Return the limited-range luma of a signal 0..1."""
    return round((16 + 219 * level) * 2 ** (bits - 8))


@pytest.mark.parametrize(
    ("transfer", "signal", "expected"),
    [
        # Gray signal and its sRGB level: 18 % gray of diffuse white, 26 nits of BT.2408, is below the knee.
        (18, 0.38, 0.393),
        (16, 0.38, 0.393),
        (18, 0.0, 0.0),
        (16, 0.0, 0.0),
        (18, 1.0, 1.0),  # the peak of the reference display
        (16, 0.7518, 1.0),  # 1000 nits
    ],
)
def test_hdr_is_tone_mapped(tmp_path, transfer, signal, expected):
    attributes = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    planes = (hdr_signal(signal), 512, 512)
    frame = read_video(write_planes(tmp_path / "a.mkv", planes, "yuv444p10le", attributes)).frames[0]
    assert np.abs(frame.numpy() / 255 - expected).max() <= 0.01


@pytest.mark.parametrize("transfer", [16, 18])
def test_tone_mapping_keeps_order_and_gray(tmp_path, transfer):
    levels = []
    attributes = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    for index, signal in enumerate(np.linspace(0, 0.75, 7)):
        planes = (hdr_signal(signal), 512, 512)
        path = write_planes(tmp_path / f"{index}.mkv", planes, "yuv444p10le", attributes)
        pixel = read_video(path).frames[0, 0, 0].numpy().astype(int)
        assert np.ptp(pixel) <= 1
        levels.append(pixel[1])
    assert (np.diff(levels) > 3).all()


@pytest.mark.parametrize("place", ["track", "container"])
def test_metadata_that_is_no_utf8_does_not_stop_a_video(tmp_path, place):
    if place == "track":
        path = write_video(tmp_path / "a.mp4", FRAMES)
        content = path.read_bytes().replace(b"VideoHandler", b"Vid\xe9oH\xe4ndler")
    else:
        path = write_video(tmp_path / "a.mkv", FRAMES)
        content = path.read_bytes().replace(b"Lavf", b"L\xe4vf")
    assert b"\xe4" in content
    path.write_bytes(content)
    assert reds(path) == LEVELS
