"""One command per habit: ``python3 tasks.py demo``, ``test``, ``lint``, ``types``, ``host-test``, ``bench``.

Needs Python 3.10 or newer and nothing else. Each command first makes or refreshes the environment in
``.venv``: minutes of work the first time, none while requirements.txt and pyproject.toml stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
TORCH = "torch==2.13.0"  # what the tests pass with; requirements.txt leaves the choice to the host

HOST_HELP = """\
No ComfyUI found: {found}.
Clone ComfyUI (0.33 or newer) to ~/ComfyUI, or set COMFYUI_PATH to where it is. Install its requirements and
this project's requirements.txt into one virtual environment, ~/ComfyUI-venv (or set COMFYUI_PYTHON to its
interpreter). Then run this command again."""


class TaskError(Exception):
    """A task cannot go on; the message is for the user."""


def main(arguments: list[str]) -> int:
    """Run the task that the first argument names and return the exit status."""
    if sys.version_info < (3, 10):  # noqa: UP036 - said in words before anything newer is used
        found = ".".join(str(number) for number in sys.version_info[:3])
        print(f"error: this is Python {found}; Python 3.10 or newer is needed.", file=sys.stderr)
        return 2
    name, rest = (arguments[0] if arguments else ""), arguments[1:]
    if name not in TASKS:
        print("usage: python3 tasks.py TASK [ARGUMENTS]\n", file=sys.stderr)
        for known, task in TASKS.items():
            print(f"  {known:<10} {(task.__doc__ or '').splitlines()[0]}", file=sys.stderr)
        return 2
    try:
        return TASKS[name](rest)
    except TaskError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def demo(arguments: list[str]) -> int:
    """Run the whole method on the bundled sample, into demo_out (or where -o says)."""
    prepare()
    return run([PYTHON, "-m", "stag4d", "demo", "-o", "demo_out", *arguments])


def test(arguments: list[str]) -> int:
    """Lint, type-check and test, all three; arguments go to pytest, whose closing line comes last.

    Where a ComfyUI is found, the tests that need one run too.
    """
    prepare(dev=True)
    with_host = ["-m", "not slow"] if host_is_there() else []
    stages = {"lint": LINT, "types": TYPES, "tests": (PYTHON, "-m", "pytest", *with_host, *arguments)}
    failed: dict[str, int] = {}
    for name, command in stages.items():
        say(f"{name} ({' and '.join(failed)} failed)" if failed else name)
        status = run(command, cwd=ROOT)
        if status:
            failed[name] = status
    return next(iter(failed.values()), 0)


def lint(arguments: list[str]) -> int:
    """Check the style with ruff; --fix repairs what it can."""
    prepare(dev=True)
    return run([*LINT, *arguments], cwd=ROOT)


def types(arguments: list[str]) -> int:
    """Check the types with mypy."""
    prepare(dev=True)
    return run([*TYPES, *arguments], cwd=ROOT)


def host_test(arguments: list[str]) -> int:
    """Run the tests that need a ComfyUI checkout."""
    if not host_is_there():
        raise TaskError(
            HOST_HELP.format(found=f"{host_folder()} has no main.py, or {host_python()} is not there")
        )
    prepare(dev=True)
    return run([PYTHON, "-m", "pytest", "-m", "host", *arguments], cwd=ROOT)


def host_folder() -> Path:
    """Return where ComfyUI would be."""
    return Path(os.environ.get("COMFYUI_PATH") or "~/ComfyUI").expanduser()


def host_python() -> Path:
    """Return the interpreter that would run it."""
    return Path(os.environ.get("COMFYUI_PYTHON") or "~/ComfyUI-venv/bin/python").expanduser()


def host_is_there() -> bool:
    """Return whether ComfyUI and its interpreter are there."""
    return (host_folder() / "main.py").is_file() and host_python().exists()


def bench(arguments: list[str]) -> int:
    """Run the benchmark that the next argument names, or list them."""
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py"))
    if not arguments or arguments[0] not in names:
        asked = arguments[0] if arguments else "nothing"
        raise TaskError(f"bench: {asked} was asked for; expected one of: {', '.join(names) or '(none)'}.")
    prepare()
    os.environ["PYTHONPATH"] = str(ROOT)  # for `benchmarks` and `tiny_models`, from any working directory
    return run([PYTHON, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]])


TASKS = {"demo": demo, "test": test, "lint": lint, "types": types, "host-test": host_test, "bench": bench}
LINT = (PYTHON, "-m", "ruff", "check", ".")
TYPES = (PYTHON, "-m", "mypy")


def prepare(*, dev: bool = False) -> None:
    """Bring ``.venv`` up to date with what requirements.txt and pyproject.toml ask for.

    torch comes first and alone: any other package that asks for it would fetch the newest build instead.
    """
    stamp = VENV / ("ready-dev" if dev else "ready")
    wanted = fingerprint()
    if not works():
        make_environment()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    base = VENV / "ready"
    if not (base.is_file() and base.read_text(encoding="utf-8") == wanted):
        say("installing PyTorch into .venv (the first time takes some minutes)")
        pip(TORCH)
        say("installing the other requirements into .venv")
        pip("-r", str(ROOT / "requirements.txt"))
        pip("--no-deps", "-e", str(ROOT))
        base.write_text(wanted, encoding="utf-8")
    if dev:
        say("installing ruff, mypy, pytest and hypothesis into .venv")
        pip("-e", f"{ROOT}[dev]")
        stamp.write_text(wanted, encoding="utf-8")


def fingerprint() -> str:
    """Return a hash of everything that the environment is made from."""
    digest = hashlib.sha256(f"{TORCH}\n{ROOT}\n".encode())
    for name in ("requirements.txt", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def works() -> bool:
    """Return whether ``.venv`` has a Python that starts and has pip."""
    if not Path(PYTHON).is_file():
        return False
    return subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode == 0


def make_environment() -> None:
    """Make an empty ``.venv``; raises TaskError with what to install where Python lacks the module for it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if find_spec("venv") is None or find_spec("ensurepip") is None:
        raise TaskError(
            f"this Python {version} cannot make a virtual environment; on Debian and Ubuntu "
            f"'apt install python{version}-venv' adds what is missing."
        )
    say(f"making .venv with Python {version}")
    if run([sys.executable, "-m", "venv", "--clear", str(VENV)]):
        raise TaskError(f"venv: making {VENV} failed (see Python's message above); is its folder writable?")


def pip(*arguments: str) -> None:
    """Install into ``.venv``; raises TaskError when pip fails."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]  # at a terminal pip shows how far a download is
    if run([PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *quiet, *arguments]):
        raise TaskError(
            f"pip: 'pip install {' '.join(arguments)}' failed (see its message above); check the network "
            "connection and the free disk space (8 GB), then run the same command again."
        )


def say(text: str) -> None:
    """Tell the user what happens now."""
    print(f"== {text}", file=sys.stderr, flush=True)


def run(command: Sequence[str], cwd: Path | None = None) -> int:
    """Run a command and return its exit status."""
    return subprocess.run(command, cwd=cwd, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
