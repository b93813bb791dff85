"""Small valid files for the readers of images, videos, splats and model folders."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

Make = Callable[[Path], Path]


def make_image(suffix: str) -> Make:
    """Return a function that writes a small image with what its format may hold: alpha, EXIF, layers."""

    def make(folder: Path) -> Path:
        import numpy as np
        from PIL import Image

        pixels = np.random.default_rng(0).integers(0, 256, (14, 18, 4), dtype=np.uint8)
        path = folder / f"a{suffix}"
        exif = Image.Exif()
        exif[274] = 6  # orientation
        image = Image.fromarray(pixels)
        if suffix in (".jpg", ".bmp"):
            image = image.convert("RGB")
        image.save(path, **({"exif": exif} if suffix in (".jpg", ".png", ".webp") else {}))
        return path

    return make


def make_16_bit_image(folder: Path) -> Path:
    import av
    import numpy as np

    frame = av.VideoFrame.from_ndarray(
        np.random.default_rng(0).integers(0, 65536, (12, 10, 4), dtype=np.uint16), format="rgba64le"
    )
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, "rgba64be"
    codec.time_base = Fraction(1, 8)
    packets = [*codec.encode(frame.reformat(format="rgba64be")), *codec.encode(None)]
    (folder / "a.png").write_bytes(b"".join(bytes(packet) for packet in packets))
    return folder / "a.png"


def read_image(path: Path) -> None:
    from stag4d.data.png import read_image

    read_image(path)


def make_video(suffix: str, codec: str, pixel_format: str) -> Make:
    """Return a function that writes a video of five frames."""

    def make(folder: Path) -> Path:
        import av
        import numpy as np

        path, random = folder / f"a{suffix}", np.random.default_rng(0)
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=8)
            stream.width, stream.height, stream.pix_fmt = 32, 16, pixel_format
            for _ in range(5):
                pixels = np.kron(random.integers(0, 256, (4, 8, 3)), np.ones((4, 4, 1))).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
        return path

    return make


def make_animation(suffix: str) -> Make:
    """Return a function that writes an animated image of three frames."""

    def make(folder: Path) -> Path:
        import numpy as np
        from PIL import Image

        frames = np.random.default_rng(0).integers(0, 256, (3, 12, 16, 4), dtype=np.uint8)
        images, path = [Image.fromarray(frame) for frame in frames], folder / f"a{suffix}"
        images[0].save(path, save_all=True, append_images=images[1:], duration=125)
        return path

    return make


def read_video(path: Path) -> None:
    from stag4d.data import read_video

    read_video(path, num_frames=2)


def make_ply(folder: Path) -> Path:
    import torch

    from stag4d.export import write_ply
    from stag4d.scene import random_ball

    write_ply(folder / "a.ply", random_ball(20, 0.5, torch.Generator().manual_seed(0)))
    return folder / "a.ply"


def read_ply(path: Path) -> None:
    from stag4d.export.ply import read_ply

    read_ply(path)


def make_s4d(folder: Path) -> Path:
    from fuzz_readers import scene

    from stag4d.export import encode_s4d

    (folder / "a.s4d").write_bytes(encode_s4d(scene()))
    return folder / "a.s4d"


def read_s4d(path: Path) -> None:
    from stag4d.export import read_s4d

    read_s4d(path).at(0)


def make_4dgs(folder: Path) -> Path:
    from fuzz_readers import scene

    from stag4d.export.fourdgs import encode_4dgs

    (folder / "a.4dgs").write_bytes(encode_4dgs(scene()))
    return folder / "a.4dgs"


def read_4dgs(path: Path) -> None:
    from stag4d.export.fourdgs_reader import read_4dgs

    read_4dgs(path)


def make_spz(folder: Path) -> Path:
    from fuzz_readers import scene

    from stag4d.export.spz import write_spz

    write_spz(folder / "a.spz", scene().gaussians)
    return folder / "a.spz"


def read_spz(path: Path) -> None:
    from stag4d.export.spz_reader import read_spz

    read_spz(path)


def make_official(folder: Path) -> Path:
    import torch

    generator = torch.Generator().manual_seed(0)
    tensors: dict[str, Any] = {}

    def add(name: str, *shape: int) -> None:
        tensors[f"deformation_net.{name}"] = torch.rand(*shape, generator=generator)

    for level, side in enumerate((4, 6)):
        for plane, axes in enumerate(("xy", "xz", "xt", "yz", "yt", "zt")):
            add(f"grid.grids.{level}.{plane}", 1, 2, 3 if "t" in axes else side, side)
    add("feature_out.0.weight", 5, 4)
    add("feature_out.0.bias", 5)
    for head, count in (("pos_deform", 3), ("scales_deform", 3), ("rotations_deform", 4)):
        for layer, size in ((1, 5), (3, count)):
            add(f"{head}.{layer}.weight", size, 5)
            add(f"{head}.{layer}.bias", size)
    tensors["deformation_net.grid.aabb"] = torch.tensor([[1.6] * 3, [-1.6] * 3])
    torch.save(tensors, folder / "deformation.pth")
    return folder / "deformation.pth"


def read_official(path: Path) -> None:
    from stag4d.scene import read_official_deformation

    read_official_deformation(path, 3)


def make_multiview_model(folder: Path) -> Path:
    from tiny_models import make_multiview_folder

    return make_multiview_folder(folder / "zero123plus")


def read_multiview_model(path: Path) -> None:
    from stag4d.diffusion import load_multiview_model

    load_multiview_model(path)


def make_guidance_model(folder: Path) -> Path:
    from tiny_models import make_guidance_folder

    return make_guidance_folder(folder / "zero123")


def read_guidance_model(path: Path) -> None:
    from stag4d.diffusion import load_guidance_model

    load_guidance_model(path)


MULTIVIEW_MODEL = make_multiview_model, read_multiview_model
GUIDANCE_MODEL = make_guidance_model, read_guidance_model
