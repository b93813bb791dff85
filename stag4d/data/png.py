"""One picture file in, one PNG out: color as decoded, straight alpha beside it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from ..atomic import replacing

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH_AT = 24  # byte of IHDR: signature 8, chunk length 4, name 4, width 4, height 4
_CHANNELS_16 = {"gray16be": 1, "ya16be": 2, "rgb48be": 3, "rgba64be": 4}  # FFmpeg's names
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # EXIF's orientations; 1 is upright
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),  # clockwise, as of a camera held upright
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


def read_picture(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a PNG of any kind: grey, palette or color, with or without alpha, up to 16 bits.

    JPEG, WebP, BMP and TIFF are read too, and what else Pillow knows; at 8 bits.

    Args:
        path: The file.

    Returns:
        Colors [H, W, 3] and alpha [H, W], float32 0..1, turned as EXIF says; alpha is None when the file has
        none.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a whole image.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected an image file.")
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.verify()  # checksums and the end; loading alone lets a lost end pass
        with Image.open(io.BytesIO(content)) as image:
            image.load()  # of TIFF files this turns them already, and takes the tag away
            upright = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1), np.asarray)
            if content.startswith(_SIGNATURE) and content[_BIT_DEPTH_AT] == 16:
                return _split_channels(upright(_decode_16_bits(content)).astype(np.float32) / 65535)
            has_alpha = image.has_transparency_data
            pixels = upright(np.asarray(image.convert("RGBA" if has_alpha else "RGB")))  # [H, W, 3 or 4]
    except (OSError, SyntaxError, ValueError, IndexError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path}: unreadable or cut short ({error}); expected a whole image file."
        ) from error
    return _split_channels(pixels.astype(np.float32) / 255)


def write_png(path: Path, colors: np.ndarray, alpha: np.ndarray) -> None:
    """Write an 8-bit RGBA PNG with straight alpha, whole or not at all.

    Args:
        path: The file; its folder is made when it does not exist.
        colors: [H, W, 3] floats 0..1; what lies outside is clipped.
        alpha: [H, W] floats 0..1.

    Raises:
        RuntimeError: if the file cannot be written.
    """
    pixels = np.concatenate([colors, alpha[..., None]], axis=-1)  # [H, W, 4]
    quantized = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    with replacing(path) as temporary:
        Image.fromarray(quantized, "RGBA").save(temporary, format="PNG", compress_level=4)


def _decode_16_bits(content: bytes) -> np.ndarray:
    """Return the samples of a 16-bit PNG, [H, W, 1 to 4]; Pillow cuts them to 8 bits, or clips grey ones."""
    import av  # only files of this kind need it

    with av.open(io.BytesIO(content), mode="r", format="png_pipe") as container:
        frame = next(container.decode(video=0))
    channels = _CHANNELS_16.get(frame.format.name)
    if channels is None:
        raise ValueError(f"16 bits in the unexpected layout {frame.format.name}")
    plane = frame.planes[0]
    rows = np.frombuffer(bytes(plane), dtype=">u2").reshape(frame.height, -1)  # padded at their ends
    return rows[:, : frame.width * channels].reshape(frame.height, frame.width, channels)


def _split_channels(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return colors [H, W, 3] and alpha [H, W], None without, of Y, YA, RGB or RGBA pixels [H, W, D]."""
    channels = pixels.shape[-1]
    has_alpha = channels in (2, 4)
    colors = pixels[..., : channels - has_alpha]
    colors = np.repeat(colors, 3, axis=-1) if colors.shape[-1] == 1 else colors
    return colors, (pixels[..., -1] if has_alpha else None)
