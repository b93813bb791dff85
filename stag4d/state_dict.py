"""Read named tensors from a file, safetensors or a pickle of torch.save; pickled code is never executed."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .regular_file import check_regular_file

_UNREADABLE = (  # errors of torch.load on refused and on damaged files
    pickle.UnpicklingError,
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    AssertionError,
    struct.error,
)


def read_state_dict(path: Path, subject: str, is_wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    """Read some of the tensors of a file.

    Args:
        path: A ``.safetensors`` file, or a state dict that torch.save wrote, also before PyTorch 1.6.
        subject: Begins messages; it names the file.
        is_wanted: Whether a tensor is read, by its name.

    Returns:
        The wanted tensors of floating point, float32 on the CPU, by name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, holds something else than tensors, or a wanted one is not dense or not
            finite.
    """
    check_regular_file(path, subject, "a file of weights, .safetensors or .pth")
    found = (
        _safetensors(path, subject, is_wanted)
        if path.suffix == ".safetensors"
        else load_pickle(path, subject)
    )
    tensors = {}
    for name, value in found.items():
        if not is_wanted(name) or not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        is_stored = value.layout == torch.strided and value.nbytes <= value.untyped_storage().nbytes()
        if not is_stored or not torch.isfinite(value).all():
            raise ValueError(f"{subject}: {name} is not dense or not finite; fetch the file again.")
        tensors[name] = value.detach().float().clone()  # the file is mapped while one of its tensors is used
    return tensors


def load_pickle(path: Path, subject: str) -> Mapping[str, object]:
    """Return the state dict in a pickle; only tensors and plain values are unpickled.

    Args:
        path: The file.
        subject: Begins messages; it names the file.

    Raises:
        ValueError: if it is damaged, compressed, or holds other objects or no state dict.
    """
    is_archive = zipfile.is_zipfile(path)  # what torch.save has written since PyTorch 1.6
    if is_archive:
        _check_archive(path, subject)
    try:
        # mapped: no tensor reaches beyond the file, and none is in memory before it is used
        content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=is_archive)
    except _UNREADABLE as error:
        raise ValueError(
            f"{subject}: refused ({type(error).__name__}), as it is damaged or holds pickled objects, which "
            "could run code; expected a state dict of tensors."
        ) from error
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        kind = type(content).__name__
        raise ValueError(f"{subject}: holds a {kind}; expected a state dict, tensors by name.")
    return content


def _check_archive(path: Path, subject: str) -> None:
    """Raise ValueError if an archive has compressed files, which torch.save never writes, or is truncated."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise ValueError(
            f"{subject}: not an archive of torch.save ({error}); expected a .pth file."
        ) from error
    size = path.stat().st_size
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
        sum(entry.file_size for entry in entries) > size
    ):
        raise ValueError(
            f"{subject}: compressed, or truncated, as its content is larger than {size} bytes; expected an "
            "archive of torch.save."
        )


def _safetensors(path: Path, subject: str, is_wanted: Callable[[str], bool]) -> Mapping[str, object]:
    """Return the wanted tensors of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys() if is_wanted(name)}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{subject}: cannot be read ({error}); expected safetensors, fetch it again."
        ) from error
