"""The readers of untrusted files: how to make a small valid file for each, and the function that reads it.

A reader is a line of ``READERS``. Its imports are in its functions: a process imports what it needs.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz_captures as captures
import fuzz_more_files as more
import fuzz_other_files as others


@dataclass(frozen=True)
class Reader:
    """A reader of untrusted files.

    Attributes:
        name: Name of the test.
        make: Writes a small valid file into an empty folder; returns it, or a folder with several files.
        read: Reads that file or folder, and uses what it holds.
        pattern: Names of the files that are damaged, in a folder.
        subject: Begins the messages where they do not name the file, as of text that is no file.
        slowness: Divides the number of cases, for readers that take long.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    pattern: str = "*"
    subject: str = ""
    slowness: int = 1


def scene() -> Any:
    """Return a small moving scene."""
    import torch

    from stag4d.scene import Deformation, FieldConfig, GaussianModel4D, SceneInfo, random_ball

    generator = torch.Generator().manual_seed(0)
    config = FieldConfig(resolutions=(3, 5), time_resolution=3, num_channels=2, width=4)
    info = SceneInfo(num_frames=3, settings={"preset": "fast", "size": 32})
    return GaussianModel4D(random_ball(20, 0.5, generator), Deformation(config, generator), info)


def make_scene(folder: Path) -> Path:
    from stag4d.scene import save_scene

    save_scene(folder / "scene.safetensors", scene())
    return folder / "scene.safetensors"


def read_scene(path: Path) -> None:
    from stag4d.scene import load_scene

    model = load_scene(path)
    model.at(model.frame_times[-1:])[0]


@functools.cache
def still_trainer() -> Any:
    """Return a trainer that checkpoints are loaded into; one that is accepted changes it."""
    from small_fit import small_config, small_view_set

    from stag4d.optimization import Trainer

    return Trainer(small_view_set(2, 16), small_config(size=16), backend="torch")


def make_checkpoint(folder: Path) -> Path:
    from recording import Recorder

    from stag4d.optimization.checkpoint import save_state
    from stag4d.progress import Interrupted
    from stag4d.resume import Checkpoint

    trainer = still_trainer()
    try:
        trainer.run(Recorder(cancel_at=8))  # the field has moved, so that all moments are there
    except Interrupted:
        save_state(Checkpoint(folder / "checkpoint.safetensors"), trainer)
    return folder / "checkpoint.safetensors"


def read_checkpoint(path: Path) -> None:
    from recording import Recorder

    from stag4d.optimization.checkpoint import load_state
    from stag4d.progress import Interrupted
    from stag4d.resume import Checkpoint

    trainer = still_trainer()
    load_state(Checkpoint(path), trainer)
    still_trainer.cache_clear()  # it has changed
    try:
        trainer.run(Recorder(cancel_at=1))  # a step with what was accepted
    except (Interrupted, RuntimeError):
        pass  # RuntimeError: the parameters diverge


def make_latents(folder: Path) -> Path:
    import torch

    from stag4d.diffusion.sampling import save_latents
    from stag4d.resume import Checkpoint

    generator = torch.Generator().manual_seed(0)
    save_latents(Checkpoint(folder / "a.latents"), 2, torch.randn(2, 4, 6, 4, generator=generator))
    return folder / "a.latents"


def read_latents(path: Path) -> None:
    from stag4d.diffusion.sampling import load_latents
    from stag4d.resume import Checkpoint

    load_latents(Checkpoint(path), (2, 4, 6, 4), num_steps=3)


def make_views(folder: Path) -> Path:
    from small_fit import small_view_set

    from stag4d.data import write_views

    write_views(folder / "set", small_view_set(2, 16))
    return folder / "set"


def read_views(path: Path) -> None:
    from stag4d.data import read_views

    read_views(path)


def make_renders(folder: Path) -> Path:
    import torch

    from stag4d.export.images import write_render_folder
    from stag4d.geometry import OrbitPose

    poses = [OrbitPose(azimuth_deg=angle) for angle in (0.0, 90.0)]
    images = torch.rand(2, 3, 12, 12, 3, generator=torch.Generator().manual_seed(0))
    write_render_folder(folder / "renders", images, images[..., 0], poses, [0, 2, 4], 8.0, 5)
    return folder / "renders"


def read_renders(path: Path) -> None:
    from stag4d.evaluation.truth import read_render_folder

    found = read_render_folder(path)
    found.read(1, found.frames[-1])
    found.frame_times  # noqa: B018


def make_text(text: str) -> Callable[[Path], Path]:
    """Return a function that writes a text file."""

    def make(folder: Path) -> Path:
        (folder / "value.json").write_text(text, encoding="utf-8")
        return folder / "value.json"

    return make


SAVED_VIEW = """{"version": 1, "azimuth": 30.0, "elevation": -10.0, "radius": 2.0, "target": [0, 0.5, 0],
 "fovy": 40.0, "time": 0.25}"""
ORTHO_CAMERA = """{"position": {"x": 0, "y": 1, "z": 2}, "target": {"x": 0, "y": 0, "z": 0}, "zoom": 2,
 "cameraType": "orthographic", "frustum": {"left": -1, "right": 1, "top": 1, "bottom": -1}}"""
CAMERA = """{"position": {"x": 0, "y": 1, "z": 2}, "target": {"x": 0, "y": 0, "z": 0}, "zoom": 1,
 "quaternion": {"x": 0, "y": 0, "z": 0, "w": 1}, "cameraType": "perspective", "fov": 40}"""


def read_saved_view(path: Path) -> None:
    from stag4d.geometry import OrbitPose, read_camera_info, read_saved_view

    view = read_saved_view(path.read_text(encoding="utf-8", errors="replace"), OrbitPose(azimuth_deg=0.0))
    read_camera_info(view.camera_info(1.5), 40.0)


def read_camera(path: Path) -> None:
    """Read a camera of ComfyUI's 3D nodes, an object that the host has parsed."""
    import json

    from stag4d.geometry import read_camera_infos

    try:
        camera = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return
    if isinstance(camera, dict):
        for found in read_camera_infos(camera, 64, 48, 40.0):
            assert found.viewmat.isfinite().all()
            assert found.K.isfinite().all()


READERS = {
    reader.name: reader
    for reader in (
        Reader("scene", make_scene, read_scene),
        Reader("fit checkpoint", make_checkpoint, read_checkpoint),
        Reader("latents checkpoint", make_latents, read_latents),
        Reader("views.json", make_views, read_views, pattern="views.json"),
        Reader("render poses", make_renders, read_renders, pattern="views.json", subject="truth: "),
        Reader("saved view", make_text(SAVED_VIEW), read_saved_view, subject="view"),
        Reader("camera", make_text(CAMERA), read_camera, subject="camera"),
        Reader("orthographic camera", make_text(ORTHO_CAMERA), read_camera, subject="camera"),
        Reader("PNG", others.make_image(".png"), others.read_image),
        Reader("PNG of 16 bits", others.make_16_bit_image, others.read_image),
        Reader("JPEG", others.make_image(".jpg"), others.read_image),
        Reader("WebP", others.make_image(".webp"), others.read_image),
        Reader("TIFF", others.make_image(".tif"), others.read_image),
        Reader("BMP", others.make_image(".bmp"), others.read_image),
        Reader("images of views", make_views, read_views, pattern="*.png"),
        Reader("MP4", others.make_video(".mp4", "libx264", "yuv420p"), others.read_video),
        Reader("WebM", others.make_video(".webm", "libvpx-vp9", "yuv420p"), others.read_video),
        Reader("GIF", others.make_animation(".gif"), others.read_video),
        Reader("animated WebP", others.make_animation(".webp"), others.read_video),
        Reader("APNG", others.make_animation(".png"), others.read_video, slowness=3),
        Reader("MOV", others.make_video(".mov", "qtrle", "argb"), others.read_video),
        Reader("images and masks", more.make_masked_folder, others.read_video),
        *(
            Reader(name, captures.make_capture(name), captures.read_any_capture, pattern, "capture", 5)
            for name, pattern in captures.PATTERNS.items()
        ),
        Reader("PLY", others.make_ply, others.read_ply),
        Reader("text PLY", more.make_text_ply, others.read_ply, slowness=2),
        Reader("official .pth", others.make_official, others.read_official),
        Reader(".s4d", others.make_s4d, others.read_s4d),
        Reader(".s4d of version 2", more.make_s4d_2, more.read_s4d_frames, slowness=3),
        Reader("scene of related frames", more.make_related_frames, more.export_scene, slowness=2),
        Reader("scene of unrelated frames", more.make_unrelated_frames, more.export_scene, slowness=2),
        Reader(".4dgs", others.make_4dgs, others.read_4dgs),
        Reader(".spz", others.make_spz, others.read_spz),
        Reader(".spz of version 2", more.make_spz_2, others.read_spz, slowness=2),
        Reader(".spz of version 1", more.make_spz_1, others.read_spz, slowness=2),
        Reader("settings of a model", more.make_settings, more.read_settings, "stag4d.json", "zero123"),
        Reader("merges", more.make_tokenizer, more.read_tokenizer, "merges.txt", "tokenizer", 10),
        Reader("weights", more.make_weights, more.read_weights, "*.safetensors", subject="clip_camera"),
        Reader("pickled weights", more.make_pickled_weights, more.read_weights, subject="unet", slowness=5),
        Reader("multi-view model", *others.MULTIVIEW_MODEL, "*.json", subject="zero123plus", slowness=10),
        Reader("guidance model", *others.GUIDANCE_MODEL, "*.json", subject="zero123", slowness=10),
    )
}


def crash(path: Path) -> None:
    if path.read_bytes() != b"undamaged":
        os.abort()


def hang(path: Path) -> None:
    while path.read_bytes() != b"undamaged":
        pass


def take_memory(path: Path) -> None:
    if path.read_bytes() != b"undamaged":
        bytes(2**30)


def confuse(path: Path) -> None:
    if path.read_bytes() != b"undamaged":
        raise IndexError("list index out of range")


def nest(path: Path) -> None:
    if path.read_bytes() != b"undamaged":
        raise RecursionError(f"{path}: maximum recursion depth exceeded")


def name_nothing(path: Path) -> None:
    if path.read_bytes() != b"undamaged":
        raise ValueError("invalid literal for int() with base 10")


def refuse(path: Path) -> None:
    if path.read_bytes() != b"undamaged":
        raise ValueError(f"{path}: damaged; expected a whole file.")


def leave_python(path: Path) -> None:
    if path.read_bytes() != b"undamaged":
        sys.exit(3)


# Readers with the faults that the tests of readers have to notice.
FAULTY = {
    f"faulty: {function.__name__}": Reader(function.__name__, make_text("undamaged"), function)
    for function in (crash, hang, take_memory, confuse, nest, name_nothing, refuse, leave_python)
}
