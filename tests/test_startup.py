"""The process of a command: signals before and during its imports, and closed streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_fit import small_config, small_view_set

from stag4d.optimization import Trainer
from stag4d.scene import save_scene

ROOT = Path(__file__).parents[1]
SIGNAL_AT_IMPORT = """
import runpy, signal, sys
module, number = sys.argv.pop(1), int(sys.argv.pop(1))

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            signal.raise_signal(number)

sys.meta_path.insert(0, Finder())
runpy.run_module("stag4d", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    """A scene of three frames."""
    path = tmp_path_factory.mktemp("scene") / "scene.safetensors"
    save_scene(path, Trainer(small_view_set(), small_config()).model())
    return path


def run(*words: object, **options: object) -> subprocess.CompletedProcess:
    """Run Python with these arguments in the repository root."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, text=True, **options)


@pytest.mark.parametrize(
    ("module", "number"), [("stag4d.cli", signal.SIGINT), ("torch", signal.SIGTERM), ("tqdm", signal.SIGINT)]
)
def test_a_signal_during_the_imports_ends_the_process_with_one_line(module, number):
    result = run("-c", SIGNAL_AT_IMPORT, module, int(number), "--version", capture_output=True)
    assert (result.returncode, result.stdout) == (130, "")
    assert result.stderr == "stag4d: interrupted\n"


def test_nothing_that_takes_long_is_imported_before_the_handler():
    slow = {"torch", "numpy", "argparse", "logging"}
    code = f"import sys, stag4d.startup; print(sorted({slow} & set(sys.modules)))"
    assert run("-c", code, capture_output=True).stdout == "[]\n"


def test_threads_sleep_while_they_wait_unless_the_user_chose_otherwise(monkeypatch):
    code = (
        "import os, stag4d.startup as s; s.let_waiting_threads_sleep(); print(os.environ['OMP_WAIT_POLICY'])"
    )
    for given, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        if given is not None:
            monkeypatch.setenv("OMP_WAIT_POLICY", given)
        assert run("-c", code, capture_output=True).stdout == f"{expected}\n"


def test_the_command_and_the_module_are_the_same():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '\nstag4d = "stag4d.__main__:main"\n' in text


@pytest.mark.parametrize(
    ("streams", "is_closed"),
    [(["stdout"], True), (["stdout", "stderr"], True), (["stdout", "stderr"], False)],
)
def test_output_that_nobody_reads_is_no_error(scene, tmp_path, streams, is_closed):
    reading, writing = os.pipe()
    os.close(reading)
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if is_closed:
        given["preexec_fn"] = lambda: [os.close({"stdout": 1, "stderr": 2}[name]) for name in streams]
    else:
        given |= dict.fromkeys(streams, writing)
    words = ["-m", "stag4d", "export", scene, "-o", tmp_path / "a.ply", "--frames", "1"]
    try:
        result = run(*words, **given)
    finally:
        os.close(writing)
    assert result.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.ply"]
    assert (tmp_path / "a.ply").read_bytes().startswith(b"ply\n")
    assert "Traceback" not in (result.stderr or "")
    assert "Exception ignored" not in (result.stderr or "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_result_that_cannot_be_written_is_a_one_line_error(scene, tmp_path):
    with Path("/dev/full").open("w") as full:
        words = ["-m", "stag4d", "export", scene, "-o", tmp_path / "a.ply", "--frames", "1"]
        result = run(*words, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 2
    line = "stag4d export: stdout: cannot be written (No space left on device); free some space."
    assert result.stderr.splitlines()[-1] == line
