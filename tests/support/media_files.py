"""Small image files, animations and videos of known content."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48


def half_transparent(level: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return an image of red ``level``, green 128 and blue 0, opaque in its left half, uint8 [H, W, 4]."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., 0], pixels[..., 1] = level, 128
    pixels[:, : width // 2, 3] = 255
    return pixels


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    codec: str = "mpeg4",
    pixel_format: str = "yuv420p",
    *,
    fps: Fraction | int = 8,
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    attributes: dict[str, object] | None = None,
) -> Path:
    """Write a video.

    Args:
        path: The file; its suffix is the format.
        frames: uint8 [H, W, 3 or 4].
        codec: Name of the encoder.
        pixel_format: FFmpeg's name of the encoded pixel format.
        fps: Frames a second.
        times_ms: When each frame is shown, milliseconds; None for a constant rate.
        options: Options of the encoder.
        attributes: Attributes of the codec context, such as ``sample_aspect_ratio``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.options = options or {}
        for name, value in (attributes or {}).items():
            setattr(stream.codec_context, name, value)
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if pixels.shape[-1] == 4 else "rgb24")
            frame = frame.reformat(format=pixel_format)
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_planes(path: Path, planes: Sequence[int], pixel_format: str, attributes: dict[str, object]) -> Path:
    """Write a lossless video of one frame of constant planes, such as (Y, U, V)."""
    frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
    kind = np.uint8 if "10" not in pixel_format else np.uint16
    for plane, value in zip(frame.planes, planes, strict=True):
        plane.update(np.full(plane.buffer_size // np.dtype(kind).itemsize, value, kind).tobytes())
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for name, value in attributes.items():
            setattr(stream.codec_context, name, value)
            if hasattr(frame, name):
                setattr(frame, name, value)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_animation(
    path: Path, frames: Sequence[np.ndarray], durations_ms: list[int] | int, **options
) -> Path:
    """Write a GIF, WebP, APNG or AVIF with Pillow, without loss where the format allows it."""
    images = [Image.fromarray(pixels) for pixels in frames]
    if path.suffix == ".webp":
        options = {"lossless": True, **options}
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations_ms, **options)
    return path


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_content(width: int, height: int, num_bytes: int, interlaced: bool = False) -> bytes:
    """Return an 8-bit RGBA PNG file of transparent pixels with ``num_bytes`` bytes of rows, right or not."""
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, interlaced)
    compressor = zlib.compressobj(9)
    body = b"".join(
        compressor.compress(bytes(min(1 << 20, num_bytes - at))) for at in range(0, num_bytes, 1 << 20)
    )
    chunks = [(b"IHDR", header), (b"IDAT", body + compressor.flush()), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def set_display_matrix(path: Path, matrix: tuple[float, float, float, float]) -> Path:
    """Write (a, b, c, d) into the track header of an MP4: (x, y) is shown at (a x + c y, b x + d y)."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44  # ISO 14496-12: 3 x 3 numbers, a b u, c d v, x y w
    a, b, c, d = (round(number * 65536) for number in matrix)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def image_seeds(folder: Path) -> list[Path]:
    """Write one small valid file of each kind of image and animation that is read."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    written: dict[str, Callable[[Path], object]] = {
        "color.png": image.save,
        "palette.png": lambda path: image.quantize(8).save(path, transparency=3),
        "color.jpg": image.save,
        "progressive.jpg": lambda path: image.save(path, progressive=True),
        "color.bmp": image.save,
        "color.webp": image.save,
        "lzw.tif": lambda path: image.save(path, compression="tiff_lzw"),
        "jpeg.tif": lambda path: image.save(path, compression="jpeg"),
        "raw.tif": image.save,
        "still.gif": lambda path: image.quantize(8).save(path),
    }
    for suffix in (".gif", ".webp", ".png"):
        frames = [half_transparent(60 * index, 32, 24) for index in range(3)]
        written[f"animation{suffix}"] = lambda path, frames=frames: write_animation(path, frames, 100)
    for name, write in written.items():
        write(folder / name)
    return [folder / name for name in written]


def video_seeds(folder: Path) -> list[Path]:
    """Write one small valid file of each kind of video that is read."""
    frames = [half_transparent(60 * index) for index in range(3)]
    kinds = {
        "mpeg4.mp4": ("mpeg4", "yuv420p"),
        "h264.mp4": ("libx264", "yuv420p"),
        "mpeg4.avi": ("mpeg4", "yuv420p"),
        "ffv1.mkv": ("ffv1", "bgra"),
        "vp9.webm": ("libvpx-vp9", "yuva420p"),
        "vp8.webm": ("libvpx", "yuva420p"),
        "prores.mov": ("prores_ks", "yuva444p10le"),
        "qtrle.mov": ("qtrle", "argb"),
        "png.mov": ("png", "rgba"),
    }
    alpha_options = {"auto-alt-ref": "0"}  # alpha excludes alternate reference frames
    return [
        write_video(folder / name, frames, *kind, options=alpha_options if "webm" in name else {})
        for name, kind in kinds.items()
    ]
