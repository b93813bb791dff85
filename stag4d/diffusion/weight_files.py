"""Choice of a network's weight files in its folder, and checks of them before a library loads them.

Safetensors are preferred to pickles, then full precision to the variant fp16, and averaged weights (EMA) to
those of the training (non-EMA). Where both a whole file and an index of shards exist, the library chooses:
diffusers takes the index, transformers the whole file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open

from ..regular_file import check_regular_file
from .json_files import read_json

Library = Literal["diffusers", "transformers"]

MAX_TENSORS = 100_000  # per network; that of Zero123++ with the most has 686
_STEMS: dict[Library, dict[str, str]] = {  # names that the libraries look for, by suffix
    "diffusers": {".safetensors": "diffusion_pytorch_model", ".bin": "diffusion_pytorch_model"},
    "transformers": {".safetensors": "model", ".bin": "pytorch_model"},
}
_VARIANTS = (None, "fp16", "fp16_ema", "non_ema", "fp16_non_ema")  # in the order of preference
_MAX_HEADER_BYTES = 16 * 2**20  # of safetensors whose header is compared with their size
_LFS_POINTER = b"version https://git-lfs"  # text that Git leaves in place of a file it has not fetched


@dataclass(frozen=True)
class WeightFiles:
    """The files that hold a network's weights.

    Attributes:
        paths: One file, or all shards.
        variant: Such as ``fp16`` for files of that variant, else None.
        is_safetensors: Whether they are safetensors; otherwise they are pickles.
    """

    paths: tuple[Path, ...]
    variant: str | None
    is_safetensors: bool

    @property
    def num_bytes(self) -> int:
        """Return the size of all files."""
        return sum(path.stat().st_size for path in self.paths)


def find_weights(place: Path, library: Library) -> WeightFiles:
    """Return the weight files that a library loads from a network's folder.

    Raises:
        FileNotFoundError: if there are none, or a shard is missing.
        ValueError: if an index of shards is damaged.
    """
    for suffix, stem in _STEMS[library].items():
        for variant in _VARIANTS:
            infix = "" if variant is None else f".{variant}"
            whole, index = place / f"{stem}{infix}{suffix}", place / f"{stem}{suffix}.index{infix}.json"
            if not (whole.is_file() or index.is_file()):
                continue
            is_sharded = index.is_file() and (library == "diffusers" or not whole.is_file())
            paths = _shards(index, suffix) if is_sharded else (whole,)
            return WeightFiles(paths, variant, is_safetensors=suffix == ".safetensors")
    names = " or ".join(f"{stem}{suffix}" for suffix, stem in _STEMS[library].items())
    others = sorted(path.name for suffix in _STEMS[library] for path in place.glob(f"*{suffix}"))
    found = f"no weights that can be loaded, only {', '.join(others)}" if others else "no weights"
    raise FileNotFoundError(
        f"{place}: {found}; expected a file such as {names}, as published, or one of the variants "
        f"{', '.join(filter(None, _VARIANTS))}. `python -m stag4d download NAME -o FOLDER`, for ComfyUI run "
        "in this pack's folder, downloads whole folders; models called bundled/... need no download."
    )


def check_complete(files: WeightFiles) -> None:
    """Raise ValueError, with a file's name and size, if it is truncated or was not fetched.

    Files that are damaged in other ways are left to the libraries.
    """
    for path in files.paths:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(len(_LFS_POINTER))
        if start == _LFS_POINTER:
            raise ValueError(
                f"{path}: has {size} bytes, a pointer of Git LFS; expected the weights themselves, which "
                "`git lfs pull` fetches."
            )
        expected = _bytes_of_header(path, size) if files.is_safetensors else None
        is_cut = size < expected if expected is not None else _is_cut_pickle(path, start)
        if size == 0 or is_cut:
            of_all = "" if expected is None else f" of {expected}"
            raise ValueError(f"{path}: has {size} bytes{of_all}, it is truncated; fetch it again.")


def count_tensors(files: WeightFiles) -> int:
    """Return the number of tensors in weight files, without reading their values.

    Raises:
        ValueError: if there are too many, or a pickle's tensors are larger than its data.
        Exception: whatever safetensors and PyTorch raise for damaged files.
    """
    total = 0
    for path in files.paths:
        if files.is_safetensors:
            with safe_open(path, framework="pt") as file:
                total += len(file.keys())
        else:
            total += _count_pickled(path)
        if total > MAX_TENSORS:
            raise ValueError(f"{path.name} has {total} tensors; expected at most {MAX_TENSORS}")
    return total


def _bytes_of_header(path: Path, size: int) -> int | None:
    """Return the size that the header of a safetensors file describes; None if it is damaged."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > _MAX_HEADER_BYTES:
            return 8 if size < 8 else None
        if size < 8 + length:
            return 8 + length
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return 8 + length + max(map(int, ends), default=0)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError):
            return None


def _is_cut_pickle(path: Path, start: bytes) -> bool:
    """Return whether a pickle begins as an archive of ``torch.save`` and has no archive's end."""
    return start.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(path)


def _shards(index: Path, suffix: str) -> tuple[Path, ...]:
    """Return the files that an index of shards names."""
    weight_map = read_json(index, "an index of shards").get("weight_map")
    values = weight_map.values() if isinstance(weight_map, dict) else ()
    names = set(values) if all(isinstance(name, str) for name in values) else set()
    if not names or any(Path(name).name != name or not name.endswith(suffix) for name in names):
        raise ValueError(
            f"{index}: weight_map is malformed; expected an object that maps each weight to a *{suffix} file "
            "in the same folder."
        )
    paths = tuple(index.parent / name for name in sorted(names))
    for path in paths:
        check_regular_file(path, str(path), f"all {len(paths)} files that {index.name} lists")
    return paths


def _count_pickled(path: Path) -> int:
    """Return the number of tensors in a pickle, after checking that they are no larger than its data."""
    is_zip = zipfile.is_zipfile(path)
    if is_zip:  # since PyTorch 1.6; its records are stored as they are, which torch.load does not check
        with zipfile.ZipFile(path) as archive:
            if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):
                raise ValueError(
                    f"{path.name} has compressed records; expected stored ones, as torch.save writes"
                )
    weights = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    if not isinstance(weights, dict):
        raise ValueError(f"{path.name} holds a {type(weights).__name__}; expected named tensors")
    available = path.stat().st_size
    required = 0
    for tensor in _tensors(weights):
        if tensor.layout != torch.strided or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise ValueError(f"{path.name} has a sparse or expanded tensor; expected dense ones")
        required += tensor.nbytes
    if required > 4 * available:  # tensors may share their data
        raise ValueError(f"{path.name} has tensors of {required} bytes; its size is {available}")
    return len(weights)


def _tensors(weights: dict[str, object]) -> Iterator[torch.Tensor]:
    """Yield the tensors of a state dict."""
    for value in weights.values():
        if isinstance(value, torch.Tensor):
            yield value
