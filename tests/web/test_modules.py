"""The viewer's modules: their Node tests, the options of the TypeScript checker, and their size.

`tasks.py lint` runs ESLint, Prettier and the TypeScript checker on them.
"""

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
SCRIPTS = sorted((HERE.parents[1] / "web" / "js").glob("*.*js"))


@pytest.fixture(scope="module")
def packages() -> Path:
    """The packages of ``package.json``, installed by npm if they are missing."""
    return node_modules(HERE)


def run(command: list[str]) -> None:
    """Run a command in this folder; a failure shows its output."""
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_viewer_modules_pass_their_node_tests():
    files = sorted(map(str, HERE.glob("*.test.mjs")))
    assert files
    run([program("node"), "--test", *files])


def test_type_checker_rejects_a_wrong_argument_type(packages, tmp_path):
    wrong = tmp_path / "wrong.mjs"
    wrong.write_text(
        f'import {{ Clock }} from "{VIEWER.as_posix()}/clock.mjs";\nnew Clock("four", 8);\n', encoding="utf-8"
    )
    options = ["--allowJs", "--checkJs", "--noEmit", "--strict", "--target", "es2022", "--module", "esnext"]
    checker = str(packages / "typescript" / "bin" / "tsc")
    command = [program("node"), checker, *options, "--types", "", str(wrong)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "'string' is not assignable to parameter of type 'number'" in done.stdout


def test_viewer_is_below_171_kb_and_52_kb_compressed():
    # Of these, 5 kB compressed are the recording of videos; docs/decisions/2026-11-30-videos-by-webcodecs.md.
    contents = [path.read_bytes() for path in MODULES]
    assert sum(map(len, contents)) < 171_000
    assert len(gzip.compress(b"".join(contents))) < 52_000


def test_viewer_imports_only_its_own_modules_and_has_no_js_file_that_comfyui_would_load():
    for path in MODULES:
        for source in re.findall(r"""(?:from|import\()\s*["']([^"']+)""", path.read_text(encoding="utf-8")):
            assert (VIEWER / source).resolve() in MODULES, f"{path.name}: {source}"
    assert [path for path in VIEWER.rglob("*") if path.suffix != ".mjs"] == []


def test_comfyui_loads_one_script_with_its_page():
    assert [path.name for path in SCRIPTS if path.suffix == ".js"] == ["stag4d.js"]


def test_every_script_begins_with_a_comment_and_has_at_most_350_lines():
    for path in [*MODULES, *SCRIPTS]:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("// "), path.name
        too_long = [number for number, line in enumerate(lines, 1) if len(line) > 110]
        assert not too_long, f"{path.name}: lines {too_long}"  # Prettier leaves comments as they are
        assert len(lines) <= 350, path.name


def test_lock_file_names_no_registry():
    assert "://" not in re.sub(
        r'"url": "[^"]*"', "", (HERE / "package-lock.json").read_text(encoding="utf-8")
    )
