"""Small valid files of rarer variants: older versions, text, masks, stored frames, parts of model folders."""

from __future__ import annotations

from pathlib import Path


def make_text_ply(folder: Path) -> Path:
    from fuzz_other_files import make_ply
    from plyfile import PlyData

    path = make_ply(folder)
    document = PlyData.read(path, mmap=False)
    document.text = True
    document.write(path)
    return path


def make_spz_2(folder: Path) -> Path:
    from fuzz_readers import scene

    from stag4d.export.spz import write_spz

    write_spz(folder / "a.spz", scene().gaussians, 2)
    return folder / "a.spz"


def make_spz_1(folder: Path) -> Path:
    """Write a file of version 2 as one of version 1, whose centers are float16."""
    import gzip

    import numpy as np

    path, header_bytes = make_spz_2(folder), 16
    content = bytearray(gzip.decompress(path.read_bytes()))
    count = int.from_bytes(content[8:12], "little")
    centers = np.random.default_rng(0).random((count, 3)).astype(np.float16).tobytes()
    content[4] = 1
    content[header_bytes : header_bytes + 9 * count] = centers
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


def make_s4d_2(folder: Path) -> Path:
    from seed_files import changing_frames, scene_of

    from stag4d.export import encode_s4d

    content = encode_s4d(scene_of(changing_frames()))
    assert content[4] == 2  # the version
    (folder / "a.s4d").write_bytes(content)
    return folder / "a.s4d"


def read_s4d_frames(path: Path) -> None:
    from stag4d.export import read_s4d_scene

    read_s4d_scene(path)


def make_related_frames(folder: Path) -> Path:
    from seed_files import moving_frames, scene_of

    from stag4d.scene import save_scene

    save_scene(folder / "scene.safetensors", scene_of(moving_frames()))
    return folder / "scene.safetensors"


def make_unrelated_frames(folder: Path) -> Path:
    from seed_files import changing_frames, scene_of

    from stag4d.scene import save_scene

    save_scene(folder / "scene.safetensors", scene_of(changing_frames()))
    return folder / "scene.safetensors"


def export_scene(path: Path) -> None:
    from stag4d.export import encode_s4d
    from stag4d.scene import load_scene

    model = load_scene(path)
    model.at(model.frame_times[-1:])[0]
    if model.info.num_frames <= 8:
        encode_s4d(model)


def make_masked_folder(folder: Path) -> Path:
    import numpy as np
    from PIL import Image

    (folder / "clip").mkdir()
    random = np.random.default_rng(0)
    for frame in range(2):
        pixels = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "clip" / f"{frame}.png")
        mask = np.zeros((12, 16), np.uint8)
        mask[3:9, 4:12] = 255
        Image.fromarray(mask).save(folder / "clip" / f"{frame}_mask.png")
    return folder / "clip"


def make_settings(folder: Path) -> Path:
    """Write the two files of a model folder that hold the settings of this package."""
    (folder / "zero123").mkdir()
    (folder / "zero123" / "model_index.json").write_text(
        '{"_class_name": "Zero123Pipeline", "clip_camera_projection": ["zero123", "CLIPCameraProjection"]}'
    )
    (folder / "zero123" / "stag4d.json").write_text('{"pose_conditioning": "zero123"}')
    return folder / "zero123"


def read_settings(path: Path) -> None:
    from stag4d.diffusion import read_pose_conditioning

    read_pose_conditioning(path)


def make_tokenizer(folder: Path) -> Path:
    from tiny_models import make_multiview_folder

    return make_multiview_folder(folder / "zero123plus") / "tokenizer"


def read_tokenizer(path: Path) -> None:
    from stag4d.diffusion.empty_prompt import empty_prompt_embeddings

    empty_prompt_embeddings(path.parent)


def make_weights(folder: Path) -> Path:
    from tiny_models import make_guidance_folder

    return make_guidance_folder(folder / "zero123") / "clip_camera_projection"


def make_pickled_weights(folder: Path) -> Path:
    import torch

    (folder / "unet").mkdir()
    weights = {f"layer.{number}": torch.rand(3, number + 1) for number in range(4)}
    torch.save(weights, folder / "unet" / "diffusion_pytorch_model.bin")
    return folder / "unet"


def read_weights(path: Path) -> None:
    from stag4d.diffusion.folders import reading
    from stag4d.diffusion.weight_files import count_tensors, find_weights

    with reading(path, "its weights"):
        count_tensors(find_weights(path, "diffusers"))
