"""Scene files: one safetensors file, with a JSON header under the metadata key ``stag4d``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..atomic import write_whole
from ..geometry import OrbitPose
from ..geometry.pose_json import describe, finite_number, whole_number
from ..metadata import checked_metadata
from ..regular_file import check_regular_file
from .deformation import Deformation
from .field_header import read_deformation
from .frames import GaussianFrames
from .gaussians import Gaussians, check_values
from .model import GaussianModel4D, SceneInfo

FORMAT_VERSION = 2  # with stored frames or offsets; scenes without them are version 1, for older readers
MAX_METADATA_BYTES = 7 * 2**19  # ComfyUI's page reads metadata from the first 4 MiB of a file
_HEADER_KEY = "stag4d"
_OFFSETS = "offsets"  # name of the tensor
_IMPORTED_SUFFIXES = (".ply", ".spz", ".s4d", ".4dgs")  # of scenes in other formats
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_MAX_HEADER_CHARACTERS = 2**22  # JSON takes up to 25 times its length in memory; 65,536 frames take 1.5 MB


def save_scene(path: str | Path, model: GaussianModel4D, metadata: Mapping[str, str] | None = None) -> None:
    """Write a scene atomically: a reader sees the old file or the complete new one.

    Args:
        path: Output file; its folder is created if it does not exist.
        model: The scene, on any device.
        metadata: JSON texts by name to store beside the scene, such as ``workflow`` and ``prompt``, by which
            ComfyUI's page restores a graph. ``load_scene`` ignores them.

    Raises:
        RuntimeError: if the file cannot be written.
        TypeError: if a name or value of the metadata is not a string.
        ValueError: if the metadata are larger than ``MAX_METADATA_BYTES`` or have the name ``stag4d``.
    """
    others = checked_metadata(metadata, f"scene {path}", MAX_METADATA_BYTES)
    if _HEADER_KEY in others:
        raise ValueError(f"scene {path}: metadata {_HEADER_KEY!r} is the header's name; choose another one.")
    is_version_1 = model.frames is None and model.info.offsets is None
    header = {
        "format_version": 1 if is_version_1 else FORMAT_VERSION,
        "num_frames": model.info.num_frames,
        "fps": model.info.fps,
        "frame_times": model.frame_times.tolist(),
        "input_pose": asdict(model.info.input_pose),
        "settings": dict(model.info.settings),
        "field": _field_header(model.deformation),
    }
    tensors = {f"gaussians.{name}": value for name, value in model.gaussians.as_dict().items()}
    if model.deformation is not None:
        tensors |= {f"deformation.{name}": value for name, value in model.deformation.state_dict().items()}
    if model.frames is not None:
        header["frames"] = {"counts": model.frames.counts}
        tensors |= {f"frames.{name}": _once(value) for name, value in model.frames.as_dict().items()}
    if model.info.offsets is not None:
        tensors[_OFFSETS] = model.info.offsets.float()
    write_tensors(path, tensors, {_HEADER_KEY: json.dumps(header), **others})


def load_scene(path: str | Path) -> GaussianModel4D:
    """Read a scene onto the CPU.

    Args:
        path: A file written by ``save_scene``.

    Returns:
        The scene, without gradients.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a scene, is corrupt, has a newer version, sizes other than those of its
            tensors, or numbers that are not finite or out of range.
    """
    try:
        tensors, metadata = read_tensors(path, "scene")
    except ValueError as error:
        suffix = Path(path).suffix.lower()
        if suffix in _IMPORTED_SUFFIXES and Path(path).is_file():
            raise ValueError(f"scene {path}: is a {suffix} file; convert it with `stag4d import`.") from error
        raise
    header = _checked_header(path, metadata)
    for name, value in tensors.items():
        if value.dtype != torch.float32:
            raise ValueError(f"scene {path}: {name} is {value.dtype}; expected torch.float32.")
    try:
        gaussians = Gaussians(**{name: tensors[f"gaussians.{name}"] for name in Gaussians.names()})
        check_values(gaussians.as_dict(), "Gaussians")
        info = SceneInfo(
            num_frames=whole_number(header["num_frames"], "num_frames"),
            fps=finite_number(header["fps"], "fps"),
            input_pose=_input_pose(header),
            settings=_settings(header),
            offsets=tensors.get(_OFFSETS),
        )
        deformation = _load_deformation(header["field"], tensors)
        frames = _load_frames(header.get("frames"), tensors, info.num_frames)
        return GaussianModel4D(gaussians, deformation, info, frames)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"scene {path}: an entry is missing or malformed ({error}); save the scene again."
        ) from error


def write_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically; raises RuntimeError with the path if it cannot be written."""
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = save(contiguous, metadata=metadata)  # save_file makes it readable by its owner only
    write_whole(path, content if len(metadata) < 2 else _with_ordered_metadata(content, metadata))


def read_tensors(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: all tensors by name, and its metadata.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no regular file, cannot be read as safetensors, or a tensor is not finite.
    """
    path = Path(path)
    check_regular_file(path, f"{kind} {path}", "a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{kind} {path}: corrupt or truncated ({error}); expected a .safetensors file."
        ) from error
    for name, value in tensors.items():
        if value.is_floating_point() and value.dtype not in _FLOATS:  # PyTorch cannot compute with these
            raise ValueError(f"{kind} {path}: {name} is {value.dtype}; expected a float of 16 bits or more.")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"{kind} {path}: {name} holds numbers that are not finite; the file is damaged.")
    return tensors, metadata


def _with_ordered_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    """Return a safetensors file with its metadata in their order: the library's changes from call to call."""
    end = 8 + int.from_bytes(content[:8], "little")  # of the header, which follows its length
    header = json.loads(content[8:end]) | {"__metadata__": metadata}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(content)[end:]])


def _field_header(deformation: Deformation | None) -> dict[str, Any] | None:
    """Return the field's config and time mapping as JSON values."""
    if deformation is None:
        return None
    return {
        "config": asdict(deformation.config),
        "time_scale": deformation.time_scale,
        "time_offset": deformation.time_offset,
    }


def _load_deformation(header: dict[str, Any] | None, tensors: dict[str, Tensor]) -> Deformation | None:
    """Return the field that the header describes, with the file's weights."""
    if header is None:
        return None
    prefix = "deformation."
    weights = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    return read_deformation(header, weights)


def _once(values: Tensor) -> Tensor:
    """Return values [F, ...] as they are stored: [1, ...] if they are the same at all frames."""
    return values[:1] if values.stride(0) == 0 else values


def _load_frames(
    header: dict[str, Any] | None, tensors: dict[str, Tensor], num_frames: int
) -> GaussianFrames | None:
    """Return the stored frames, if the header says that there are any."""
    if header is None:
        return None
    counts = header["counts"]
    if counts is not None:
        counts = tuple(whole_number(count, "counts") for count in counts)
    stored = {name: tensors[f"frames.{name}"] for name in Gaussians.names()}
    check_values(stored, "frames")
    frames = {  # [1, ...] holds at all frames; the number of frames is bounded by the means that are stored
        name: values.expand(num_frames, *values.shape[1:]) if len(values) == 1 else values
        for name, values in stored.items()
    }
    return GaussianFrames(**frames, counts=counts)


def _checked_header(path: str | Path, metadata: dict[str, str]) -> dict[str, Any]:
    """Return the parsed header; raises ValueError if there is none or its version is newer than ours."""
    try:
        text = metadata[_HEADER_KEY]
        if len(text) > _MAX_HEADER_CHARACTERS:
            raise ValueError(f"{len(text)} characters")
        header = json.loads(text)
        version = int(header["format_version"])
        if version < 1:
            raise ValueError(f"format version {version}")
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"scene {path}: no scene header; expected a file that `stag4d fit` wrote."
        ) from error
    if version > FORMAT_VERSION:
        raise ValueError(
            f"scene {path}: format version {version}, this program reads up to {FORMAT_VERSION}; update "
            "STAG4D."
        )
    return header


def _input_pose(header: dict[str, Any]) -> OrbitPose:
    """Return a header's camera; raises an error unless it has the fields of a pose, with finite numbers."""
    pose = header["input_pose"]
    if not isinstance(pose, dict):
        raise TypeError(f"input_pose is {describe(pose)}; expected names and numbers")
    return OrbitPose(**{name: finite_number(value, name) for name, value in pose.items()})


def _settings(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header's settings; raises an error unless they are an object whose size is whole pixels."""
    settings = header["settings"]
    if not isinstance(settings, dict):
        raise TypeError(f"settings are {describe(settings)}; expected names and values")
    if "size" in settings:
        whole_number(settings["size"], "size")
    return settings
