"""How exact is the alpha of objects with holes, and of objects in uneven light, with shadows or between bars?

    python3 tasks.py bench plain_backgrounds

Synthetic images with known alpha go through ``stag4d.matting.object_alphas``: 8-bit images of 128 pixels;
images of 256 pixels with noise, blurred with a standard deviation of one pixel and compressed as JPEG; and
H.264 videos of 256 pixels with noise, read by ``read_video``. Prints for each kind the number of images, the
lowest and highest IoU of the masks, and how many images are refused. For earlier versions of ``stag4d``, copy
this script and ``_plain_images.py`` into their ``benchmarks`` folder.
"""

from __future__ import annotations

import argparse
import io
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from stag4d.data import read_video
from stag4d.evaluation import silhouette_iou
from stag4d.matting import object_alphas

from . import _plain_images as plain
from ._plain_images import BLACK, DARK, GRAY, RED, WHITE, Canvas, Frames

SIZE, COMPRESSED_SIZE = 128, 256  # pixels
NOISE = 0.01  # standard deviation, of images that are compressed
JPEG_QUALITY = 85
CRFS = (23, 32, 36)  # of x264, whose default is 23
X264_OPTIONS = {"threads": "1"}  # the same bytes in every run
NUM_FRAMES = 4
FRAME_BARS = (14, 12, 16, 10)  # top, bottom, left, right


def main(argv: Sequence[str] | None = None) -> None:
    """Print the IoU of each kind of image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(argv)
    print("| image | images | lowest IoU | highest IoU | refused |\n|---|---|---|---|---|")
    for name, cases in itertools.chain(exact_images(), jpeg_images(), h264_videos()):
        print(_row(name, cases), flush=True)


def exact_images() -> Iterator[tuple[str, list[Frames]]]:
    """Yield the name and the cases of each row of images that are only rounded to 8 bits."""
    canvas = Canvas(SIZE)
    for name, frames in plain.holes(canvas).items():
        yield name, [frames]
    shirts = plain.shirts(canvas)
    yield "eyes, highlight, shaded shirt", [*plain.eyes_and_highlight(canvas), *shirts["shaded"]]
    yield "shirt of exactly the background's color", shirts["exact"]
    for depth in (0.15, 0.3, 0.45):
        yield f"vignette of {depth:.0%}", [plain.vignette(canvas, depth)]
    yield "lamp from above", [plain.lamp_from_above(canvas)]
    for name, colors in {"red or gray": (RED, GRAY), "white": ((0.97,) * 3,)}.items():
        shadows = itertools.product(colors, ((0.25, 5), (0.3, 8), (0.45, 10)))
        yield f"soft shadow under a {name} ball", [plain.shadow(canvas, c, *shape) for c, shape in shadows]
    yield "gray ball, shaded down to its rim", [plain.shaded_gray_ball(canvas)]
    moving = plain.moving_ball(canvas, NUM_FRAMES)
    image = Frames(*(values[:1] for values in moving))
    for name, color in {"black": BLACK, "dark": DARK, "white": WHITE}.items():
        pairs = [(*[width] * 2, 0, 0) for width in (1, 2, 7, 30)]
        pairs += [widths[::-1] for widths in pairs]
        yield f"{name} bars of 1 to 30 pixels", [plain.with_bars(image, color, widths) for widths in pairs]
    yield "black bars on all four sides: image", [plain.with_bars(image, BLACK, FRAME_BARS)]
    yield f"the same: video of {NUM_FRAMES} frames", [plain.with_bars(moving, BLACK, FRAME_BARS)]


def jpeg_images() -> Iterator[tuple[str, list[Frames]]]:
    """Yield objects with holes, with noise, blurred and as JPEG."""
    for name, (images, alphas) in plain.holes(Canvas(COMPRESSED_SIZE)).items():
        pixels = Image.fromarray(_to_uint8(_noisy(images))[0].numpy()).filter(ImageFilter.GaussianBlur(1))
        file = io.BytesIO()
        pixels.save(file, "JPEG", quality=JPEG_QUALITY)
        decoded = torch.from_numpy(np.array(Image.open(file)))[None].float() / 255
        yield f"{name}: noise, blur, JPEG", [Frames(decoded, alphas)]


def h264_videos() -> Iterator[tuple[str, list[Frames]]]:
    """Yield decoded H.264 videos of a moving ball, without and with black bars on all four sides."""
    plain_video = plain.moving_ball(Canvas(COMPRESSED_SIZE), NUM_FRAMES)
    plain_video = Frames(_noisy(plain_video.images), plain_video.alphas)
    barred = plain.with_bars(plain_video, BLACK, FRAME_BARS)
    for crf in CRFS:
        for name, (images, alphas) in {"": plain_video, ", bars on all sides": barred}.items():
            yield f"H.264, CRF {crf}{name}", [Frames(_through_h264(images, crf), alphas)]


def _row(name: str, cases: list[Frames]) -> str:
    """Return a row of the table."""
    overlaps: list[float] = []
    num_images = 0
    for images, alphas in cases:
        num_images += len(images)
        try:
            overlaps += silhouette_iou(object_alphas(_to_uint8(images)), alphas).tolist()
        except ValueError:
            continue
    lowest, highest = (f"{end(overlaps):.2f}" if overlaps else "-" for end in (min, max))
    return f"| {name} | {num_images} | {lowest} | {highest} | {num_images - len(overlaps)} |"


def _through_h264(images: Tensor, crf: int) -> Tensor:
    """Return images [F, S, S, 3] as they are decoded after compression by x264."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video.mp4")
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(24))
            stream.options = {"crf": str(crf), **X264_OPTIONS}
            stream.height, stream.width = images.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for image in _to_uint8(images):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image.numpy(), format="rgb24")))
            container.mux(stream.encode(None))
        return read_video(path).frames.float() / 255


def _noisy(images: Tensor) -> Tensor:
    """Return images with camera noise, the same in every run."""
    return images + NOISE * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


def _to_uint8(images: Tensor) -> Tensor:
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


if __name__ == "__main__":
    main()
