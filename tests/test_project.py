"""Consistency of the project's files, and the README's example."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import re
import runpy
import sys
from pathlib import Path

import pytest

import stag4d

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = PROJECT["project"]["version"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def schemas(pack):
    nodes = asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())
    return {node.__name__: node.define_schema() for node in nodes}


def test_requirements_equal_the_package_dependencies():
    assert read("requirements.txt").split() == PROJECT["project"]["dependencies"]


def test_torch_is_not_pinned_and_torchvision_not_required():
    assert "torch" in PROJECT["project"]["dependencies"]
    names = {re.split(r"[^\w-]", line)[0] for line in read("requirements.txt").split()}
    assert not names & {"torchvision", "torchaudio"}


def test_every_imported_library_is_declared():
    extras = PROJECT["project"]["optional-dependencies"]
    declared = [*PROJECT["project"]["dependencies"], *(line for lines in extras.values() for line in lines)]
    names = {re.split(r"[^\w-]", line)[0] for line in declared}
    packages = {"PIL": "pillow", "llvmlite": "numba"}  # library: package that contains it
    for path in [*(ROOT / "stag4d").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            for library in {module.split(".")[0] for module in modules} - sys.stdlib_module_names:
                assert packages.get(library, library) in names, f"{path.relative_to(ROOT)}: {library}"


def test_version_is_the_same_everywhere():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert stag4d.__version__ == VERSION
    assert re.search(rf"^## \[{re.escape(VERSION)}\]", read("CHANGELOG.md"), re.MULTILINE)


def test_registry_entry_is_complete():
    entry = PROJECT["tool"]["comfy"]
    assert entry["PublisherId"]
    assert "comfyui" not in entry["DisplayName"].lower()
    assert "web" not in entry  # WEB_DIRECTORY registers the folder; this would do it again


def test_required_host_version_is_the_same_everywhere():
    needed = re.fullmatch(r">=(\d+\.\d+)\.0", PROJECT["tool"]["comfy"]["requires-comfyui"])
    assert needed
    for name in ("README.md", "tasks.py"):
        versions = re.findall(r"(?<!Python )\b(\d+\.\d+) or newer", read(name))
        assert versions and set(versions) == {needed[1]}, name


@pytest.mark.parametrize("requirement", PROJECT["project"]["optional-dependencies"]["exports"])
def test_install_hints_have_the_version_range_of_the_extra(requirement):
    package = re.match(r"\w+", requirement)[0]
    code = {"gsply": "stag4d/export/spz.py", "fourdgs": "stag4d/export/fourdgs.py"}[package]
    for name in ("README.md", "docs/exports.md", "web/docs/STAG4DExport.md", code):
        advised = re.findall(rf"pip install [^`\n]*?(\S?{package}\S*)", read(name))
        assert advised, name
        for found in advised:
            assert found.startswith(f'"{requirement}"'), name  # in quotes, or the shell would write a file


@pytest.mark.parametrize("folder", ["stag4d", "nodes", "tests", "benchmarks", "training"])
def test_every_module_has_a_docstring(folder):
    for path in [*(ROOT / folder).rglob("*.py"), ROOT / "tasks.py", ROOT / "__init__.py"]:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path.relative_to(ROOT)


def test_nodes_and_help_pages_match(schemas):
    assert {path.stem for path in (ROOT / "web" / "docs").glob("*.md")} == schemas.keys()


def test_help_page_lists_every_input_and_output(schemas):
    for name, schema in schemas.items():
        page = read(f"web/docs/{name}.md")
        items = list(schema.inputs)
        for item in items:
            if item.io_type == "COMFY_DYNAMICCOMBO_V3":
                items.extend(nested for option in item.options["options"] for nested in option.inputs)
                assert all(f"`{option.key}`" in page for option in item.options["options"]), (name, item.id)
        for item in [*items, *schema.outputs]:
            assert f"`{item.id}`" in page, (name, item.id)


def test_every_task_is_documented_and_ci_runs_the_test_command():
    spec = importlib.util.spec_from_file_location("tasks", ROOT / "tasks.py")
    tasks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tasks)
    for task in tasks.TASKS:
        assert f"python3 tasks.py {task}" in read("CONTRIBUTING.md"), task
    assert "python3 tasks.py test" in read("README.md")
    assert "python3 tasks.py test" in read(".ci/run")


def test_readme_python_example_runs(tmp_path, monkeypatch):
    pattern = r"^#+ [^\n]*Python.*?^```python\n(.*?)^```"
    section = re.search(pattern, read("README.md"), re.MULTILINE | re.DOTALL)
    assert section, "README.md: no python block under a heading with the word Python"
    example = tmp_path / "example.py"
    example.write_text(section.group(1), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example))
