"""Files that are whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends well.

    The folder is made when it does not exist. ``data.png`` has its own: neither package imports the other.

    Raises:
        RuntimeError: if the folder or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise RuntimeError(f"{path}: cannot be written ({error}); check the folder and its space.") from error
    finally:
        with suppress(OSError):  # it is gone when all went well, and its folder may never have been
            temporary.unlink()
