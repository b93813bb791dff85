"""The viewer's modules: their own tests in Node, their types, and how large they are."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import pytest
from needed import node_modules, program

HERE = Path(__file__).parent
VIEWER = HERE.parents[1] / "web" / "viewer"
MODULES = sorted(VIEWER.glob("*.mjs"))


@pytest.fixture(scope="module")
def type_checker() -> list[str]:
    """The command that runs TypeScript's compiler, installed by npm where it is not there yet."""
    return [program("node"), str(node_modules(HERE) / "typescript" / "bin" / "tsc")]


def run(command: list[str]) -> None:
    """Run a command; a failure shows what it printed."""
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_the_modules_pass_their_own_tests():
    files = sorted(map(str, HERE.glob("*.test.mjs")))
    assert files
    run([program("node"), "--test", *files])


def test_the_modules_types_are_right(type_checker):
    run([*type_checker, "--project", str(HERE)])


def test_a_wrong_type_is_found(type_checker, tmp_path):
    wrong = tmp_path / "wrong.mjs"
    wrong.write_text(
        f'import {{ Clock }} from "{VIEWER.as_posix()}/clock.mjs";\nnew Clock("four", 8);\n', encoding="utf-8"
    )
    options = ["--allowJs", "--checkJs", "--noEmit", "--strict", "--target", "es2022", "--module", "esnext"]
    command = [*type_checker, *options, "--types", "", str(wrong)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "'string' is not assignable to parameter of type 'number'" in done.stdout


def test_the_viewer_is_small():
    contents = [path.read_bytes() for path in MODULES]
    assert sum(map(len, contents)) < 110_000
    assert len(gzip.compress(b"".join(contents))) < 30_000


def test_the_viewer_depends_on_nothing_and_leaves_nothing_for_the_host_to_load():
    for path in MODULES:
        for source in re.findall(r"""(?:from|import\()\s*["']([^"']+)""", path.read_text(encoding="utf-8")):
            assert (VIEWER / source).resolve() in MODULES, f"{path.name}: {source}"
    assert [path for path in VIEWER.rglob("*") if path.suffix != ".mjs"] == []


def test_every_module_says_what_it_is_in_short_lines():
    for path in MODULES:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("// "), path.name
        too_long = [number for number, line in enumerate(lines, 1) if len(line) > 110]
        assert not too_long, f"{path.name}: lines {too_long}"
        assert len(lines) <= 360, path.name


def test_the_lockfile_names_no_registry():
    assert "://" not in re.sub(
        r'"url": "[^"]*"', "", (HERE / "package-lock.json").read_text(encoding="utf-8")
    )
