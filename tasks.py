"""Development tasks: ``python3 tasks.py TASK``; without a task it lists them.

Needs Python 3.10 or newer and nothing else. Each task first creates or updates the environment in ``.venv``:
minutes of work the first time, none while requirements.txt and pyproject.toml are unchanged.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
TORCH = "torch==2.13.0"  # the version that the tests run with; inside ComfyUI the host chooses
PROCESSES = ("-n=auto", "--maxprocesses=4", "--dist=loadfile")  # a module's fixtures are made in one process
WEB_CHECKS = (["lint"], ["format:check"], ["types"])  # npm scripts in tests/web/package.json
WEB_FIXES = (["lint", "--", "--fix"], ["format"], ["types"])

HOST_HELP = """\
No ComfyUI found: {found}.
Clone ComfyUI (0.33 or newer) to ~/ComfyUI, or set COMFYUI_PATH to where it is. Install its requirements and
this project's requirements.txt into one virtual environment, ~/ComfyUI-venv (or set COMFYUI_PYTHON to its
interpreter). Then run this command again."""


class TaskError(Exception):
    """A task failed; the message says why and what to do."""


def main(arguments: list[str]) -> int:
    """Run the task that the first argument names and return the exit status."""
    if sys.version_info < (3, 10):  # noqa: UP036 - an error message in place of a traceback
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
    """Run the whole method on the bundled sample; the output folder is demo_out, or that of -o."""
    prepare()
    return run([PYTHON, "-m", "stag4d", "demo", "-o", "demo_out", *arguments])


def test(arguments: list[str]) -> int:
    """Lint, check types and run the tests; arguments go to pytest, --cov adds a table of coverage.

    All three stages run, whichever fails; pytest is the last, so that its summary ends the output, with one
    more line that names the stages that failed. Where a ComfyUI is found, the tests that need it run too.
    """
    prepare(dev=True)
    with_host = ["-m", "not slow"] if host_is_there() else []
    coverage = ["--cov"] if "--cov" in arguments else []  # an option follows it, or a path would be its value
    others = [argument for argument in arguments if argument != "--cov"]
    pytest = [PYTHON, "-m", "pytest", *PROCESSES, *with_host, *coverage, "--durations=15", *others]
    stages: dict[str, Callable[[], int]] = {
        "lint": check_style,
        "types": check_types,
        "tests": lambda: run(pytest, cwd=ROOT),
    }
    failed: dict[str, int] = {}
    for name, stage in stages.items():
        say(f"{name} ({' and '.join(failed)} failed)" if failed else name)
        status = stage()
        if status:
            failed[name] = status
    if failed:
        say(f"failed: {' and '.join(failed)}")
    return next(iter(failed.values()), 0)


def versions(arguments: list[str]) -> int:
    """Run the tests of reading with the oldest and the newest libraries; an argument chooses one of both."""
    return run([sys.executable, str(ROOT / ".ci" / "versions.py"), TORCH, *arguments])


def lint(arguments: list[str]) -> int:
    """Check the style and format of Python and JavaScript; --fix corrects them."""
    if arguments not in ([], ["--fix"]):
        raise TaskError(f"lint: the arguments are {' '.join(arguments)}; expected --fix or none.")
    prepare(dev=True)
    return check_style(fix=bool(arguments))


def types(arguments: list[str]) -> int:
    """Check the types with mypy."""
    prepare(dev=True)
    return check_types(arguments)


def host_test(arguments: list[str]) -> int:
    """Run the tests that need a ComfyUI checkout."""
    if not host_is_there():
        raise TaskError(
            HOST_HELP.format(found=f"{host_folder()} has no main.py, or {host_python()} is not there")
        )
    prepare(dev=True)
    return run([PYTHON, "-m", "pytest", "-m", "host", *arguments], cwd=ROOT)


def host_folder() -> Path:
    """Return the folder in which ComfyUI is looked for."""
    return Path(os.environ.get("COMFYUI_PATH") or "~/ComfyUI").expanduser()


def host_python() -> Path:
    """Return the Python interpreter that runs ComfyUI."""
    return Path(os.environ.get("COMFYUI_PYTHON") or "~/ComfyUI-venv/bin/python").expanduser()


def host_is_there() -> bool:
    """Return whether ComfyUI and its interpreter exist."""
    return (host_folder() / "main.py").is_file() and host_python().exists()


def bench(arguments: list[str]) -> int:
    """Run the benchmark that the next argument names, or list all."""
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py"))
    if not arguments or arguments[0] not in names:
        asked = arguments[0] if arguments else "missing"
        raise TaskError(f"bench: the name is {asked}; expected one of: {', '.join(names) or '(none)'}.")
    prepare()
    os.environ["PYTHONPATH"] = str(ROOT)  # for `benchmarks` and `tiny_models` from any working directory
    return run([PYTHON, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]])


TASKS = {
    "demo": demo,
    "test": test,
    "versions": versions,
    "lint": lint,
    "types": types,
    "host-test": host_test,
    "bench": bench,
}


def check_style(*, fix: bool = False) -> int:
    """Run ruff's linter, ruff's formatter and the checks of the JavaScript; return the first failure."""
    ruff = [PYTHON, "-m", "ruff"]
    commands = (
        [*ruff, "check", *(["--fix"] if fix else []), "."],
        [*ruff, "format", *([] if fix else ["--check"]), "."],
    )
    return first_failure([*(run(command, cwd=ROOT) for command in commands), check_web(fix=fix)])


def check_web(*, fix: bool = False) -> int:
    """Run the npm checks of the JavaScript in web/; without npm skip them, or fail where CI is true."""
    npm, folder = which("npm"), ROOT / "tests" / "web"
    if npm is None:
        needed = os.environ.get("CI") == "true"
        consequence = "required with CI=true" if needed else "skipped"
        say(f"npm is not installed; the checks of web/ are {consequence}")
        return int(needed)
    stamp = folder / "node_modules" / ".ready"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
        status = run([npm, "ci", "--no-audit", "--no-fund", "--prefix", str(folder)])
        if status:
            return status
        stamp.write_text(wanted, encoding="utf-8")
    scripts = WEB_FIXES if fix else WEB_CHECKS
    return first_failure([run([npm, "run", "--prefix", str(folder), *script]) for script in scripts])


def check_types(arguments: Sequence[str] = ()) -> int:
    """Run mypy on what pyproject.toml lists and on nodes/, or with the given arguments."""
    link_pack()
    mypy = [PYTHON, "-m", "mypy"]
    commands = [[*mypy, *arguments]] if arguments else [mypy, [*mypy, "-p", "stag4d_pack.nodes"]]
    return first_failure([run(command, cwd=ROOT) for command in commands])


def link_pack() -> None:
    """Create the link by which mypy imports the repository root as the package stag4d_pack.

    nodes/ imports ``..stag4d``, as ComfyUI loads the root as a package; a clone's folder may have any name.
    """
    link = ROOT / ".mypy_cache" / "pack" / "stag4d_pack"
    if link.exists() and link.samefile(ROOT):
        return
    link.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":  # a junction: symbolic links need administrator rights
        run(["cmd", "/c", "mklink", "/J", str(link), str(ROOT)])
    else:
        link.symlink_to(ROOT, target_is_directory=True)


def first_failure(statuses: Sequence[int]) -> int:
    """Return the first exit status that is not 0, or 0."""
    return next((status for status in statuses if status), 0)


def prepare(*, dev: bool = False) -> None:
    """Bring ``.venv`` up to date with requirements.txt and pyproject.toml.

    torch is installed first and alone: the requirement of any other package would fetch its newest build.
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
        say("installing the development tools into .venv")
        pip("-e", f"{ROOT}[dev]")
        stamp.write_text(wanted, encoding="utf-8")


def fingerprint() -> str:
    """Return a hash of everything that the content of the environment depends on."""
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
    """Create an empty ``.venv``; raise TaskError where this Python lacks the modules for it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if find_spec("venv") is None or find_spec("ensurepip") is None:
        raise TaskError(
            f"this Python {version} cannot create a virtual environment; on Debian and Ubuntu "
            f"'apt install python{version}-venv' installs the missing modules."
        )
    say(f"creating .venv with Python {version}")
    if run([sys.executable, "-m", "venv", "--clear", str(VENV)]):
        raise TaskError(f"venv: creating {VENV} failed (see Python's message above); is its folder writable?")


def pip(*arguments: str) -> None:
    """Install into ``.venv``; raise TaskError when pip fails."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]  # a progress bar at a terminal
    if run([PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *quiet, *arguments]):
        raise TaskError(
            f"pip: 'pip install {' '.join(arguments)}' failed (see its message above); check the network "
            "connection and the free disk space (8 GB), then run the same command again."
        )


def say(text: str) -> None:
    """Print what the task does next."""
    print(f"== {text}", file=sys.stderr, flush=True)


def run(command: Sequence[str], cwd: Path | None = None) -> int:
    """Run a command and return its exit status."""
    return subprocess.run(command, cwd=cwd, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
