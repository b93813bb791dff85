"""Which packages do the requirements of this project add to a ComfyUI, and how large are they?

    PYTHON_OF_COMFYUI benchmarks/install_size.py PATH_TO_COMFYUI/requirements.txt

Run it with an environment in which both requirements are installed. Prints the packages that ComfyUI does not
require itself, with their sizes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = Path(__file__).resolve().parents[1] / "requirements.txt"


def main() -> None:
    """Print the packages and their sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("requirements", type=Path, help="requirements.txt of ComfyUI")
    options = parser.parse_args()
    present = installed(read_requirements(options.requirements))
    added = {name: found for name, found in installed(read_requirements(OURS)).items() if name not in present}
    sizes = {name: num_bytes(found) / 1e6 for name, found in sorted(added.items())}
    for name, size in sizes.items():
        print(f"{name:<24} {size:6.1f} MB")
    print(f"{len(sizes)} packages, {sum(sizes.values()):.0f} MB")


def read_requirements(path: Path) -> list[Requirement]:
    """Return the requirements in a file; options and comments are left out."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def installed(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """Return the installed packages that requirements need, directly or indirectly, by name."""
    found: dict[str, Distribution] = {}
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for text in found[name].requires or []:
            needed = Requirement(text)
            extras = ("", *requirement.extras)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return found


def num_bytes(package: Distribution) -> int:
    """Return the size of a package's files."""
    paths = (Path(str(package.locate_file(file))) for file in package.files or [])
    return sum(path.stat().st_size for path in paths if path.is_file())


if __name__ == "__main__":
    main()
