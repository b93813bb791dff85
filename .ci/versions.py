"""Tests with the oldest and the newest versions that requirements.txt allows, in an environment each.

`python3 tasks.py versions` runs this file. The oldest environment has the lower bound of every requirement
that has one, the newest has the latest release of each. Both are kept in .venv-versions/ until the
requirements change; the newest is updated once a day. The tests are those of loading models and reading
files, and of a small run from a video to a scene.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venv-versions"
NAMES = ("oldest", "newest")
TESTS = (
    "tests/diffusion",
    "tests/weights",
    "tests/data",
    "tests/matting",
    "tests/scene",
    "tests/pipeline/test_whole.py",
    "tests/test_cli_run.py",
)
SHOWN = "av diffusers huggingface_hub numpy pillow safetensors tokenizers torch transformers".split()
VERSIONS = f"""
from importlib.metadata import version
print(*(f"{{name}} {{version(name)}}" for name in {SHOWN!r}), sep=", ", flush=True)
"""


def main(torch: str, names: Sequence[str]) -> int:
    """Test the named environments, or both; returns 1 if one fails.

    Args:
        torch: Requirement of PyTorch, the same in both.
        names: Some of ``NAMES``; none: both.
    """
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"error: versions: {min(unknown)!r}; expected {' or '.join(NAMES)}.", file=sys.stderr)
        return 2
    failed = [name for name in names or NAMES if not is_passed(name, torch)]
    if failed:
        print(f"error: versions: the tests fail with the {' and the '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


def is_passed(name: str, torch: str) -> bool:
    """Bring an environment up to date and return whether its tests pass."""
    print(f"== {name}", file=sys.stderr, flush=True)
    folder = ENVIRONMENTS / name
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    stamp, wanted = folder / "ready", fingerprint(name, torch)
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
        if name == "oldest" or not stamp.is_file():
            call([sys.executable, "-m", "venv", "--clear", str(folder)])
        install(python, name, torch)
        stamp.write_text(wanted, encoding="utf-8")
    call([python, "-c", VERSIONS])
    # Old libraries warn about what they use of new ones.
    command = [python, "-m", "pytest", "-q", "-W", "default", *TESTS]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def install(python: str, name: str, torch: str) -> None:
    """Install torch, then the requirements and the development tools with the versions of an environment."""
    constraints = ENVIRONMENTS / f"{name}.txt"
    pins = lower_bounds() if name == "oldest" else []
    constraints.write_text("\n".join([torch, *pins, ""]), encoding="utf-8")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    call([*pip, torch])
    upgrade = [] if name == "oldest" else ["--upgrade", "--upgrade-strategy", "eager"]
    call([*pip, *upgrade, "-c", str(constraints), "-e", f"{ROOT}[dev]"])


def lower_bounds() -> list[str]:
    """Return the requirements that have a lower bound, with it as their version."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return [f"{name}=={version}" for name, version in re.findall(r"^([\w-]+)>=([\w.]+)", text, re.MULTILINE)]


def fingerprint(name: str, torch: str) -> str:
    """Return a hash of everything that the content of an environment depends on."""
    day = date.today().isoformat() if name == "newest" else ""
    digest = hashlib.sha256(f"{torch}\n{ROOT}\n{sys.version}\n{day}".encode())
    for file in (Path(__file__), ROOT / "requirements.txt", ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def call(command: Sequence[str]) -> None:
    """Run a command; exit with an error if it fails."""
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"error: versions: '{' '.join(command)}' failed (see its message above).")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
