"""The cache of the Hugging Face hub: the folder of a model is a snapshot within that of its repository.

Layout: ``models--OWNER--NAME/snapshots/HASH`` holds the model, and ``models--OWNER--NAME/refs/main`` the hash
of the latest download.
"""

from __future__ import annotations

from pathlib import Path

_SNAPSHOTS, _REFERENCE = "snapshots", "refs/main"
_MAX_HASH = 100  # characters


def snapshot_folder(folder: Path, index: str) -> Path:
    """Return the snapshot that a repository's folder in the cache stands for; other folders as they are.

    Args:
        folder: A model's folder, or that of its repository in the cache.
        index: Name of the file that every model's folder has.

    Raises:
        ValueError: if the repository has several snapshots, and no reference says which was fetched last.
    """
    if (folder / index).exists() or not (folder / _SNAPSHOTS).is_dir():
        return folder
    snapshots = sorted(path.parent for path in folder.glob(f"{_SNAPSHOTS}/*/{index}"))
    latest = _latest(folder)
    if len(snapshots) > 1 and latest not in snapshots:
        names = ", ".join(path.name for path in snapshots)
        raise ValueError(f"{folder}: has the snapshots {names}; expected the folder of one of them.")
    return latest if latest in snapshots else next(iter(snapshots), folder)


def cached_models(root: Path, index: str) -> dict[str, Path]:
    """Return the folders of the models in the hub's cache folder ``root`` by their relative paths.

    A repository has the path of its own folder, or one for each snapshot where ``snapshot_folder`` refuses.
    """
    found: dict[str, Path] = {}
    for path in sorted(root.glob(f"*/{_SNAPSHOTS}/*/{index}")):
        snapshot = path.parent
        repository = snapshot.parents[1]
        try:
            found[repository.relative_to(root).as_posix()] = snapshot_folder(repository, index)
        except ValueError:
            found[snapshot.relative_to(root).as_posix()] = snapshot
    return found


def _latest(repository: Path) -> Path | None:
    """Return the snapshot that the cache's reference names; None without one."""
    reference = repository / _REFERENCE
    if not reference.is_file():
        return None
    with reference.open(encoding="utf-8", errors="replace") as file:
        name = file.read(_MAX_HASH).strip()
    is_name = name not in ("", ".", "..") and Path(name).name == name
    return repository / _SNAPSHOTS / name if is_name else None
