"""The project's files agree with each other, and the README's example runs."""

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


def test_requirements_are_the_packages_dependencies():
    assert read("requirements.txt").split() == PROJECT["project"]["dependencies"]


def test_the_host_chooses_its_own_torch_and_torchvision_is_not_asked_for():
    assert "torch" in PROJECT["project"]["dependencies"]
    names = {re.split(r"[^\w-]", line)[0] for line in read("requirements.txt").split()}
    assert not names & {"torchvision", "torchaudio"}


def test_every_library_that_is_imported_is_declared():
    extras = PROJECT["project"]["optional-dependencies"]
    declared = [*PROJECT["project"]["dependencies"], *(line for lines in extras.values() for line in lines)]
    names = {re.split(r"[^\w-]", line)[0] for line in declared}
    called = {"PIL": "pillow", "llvmlite": "numba"}  # by another name; a part of another's interface
    for path in [*(ROOT / "stag4d").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            for library in {module.split(".")[0] for module in modules} - sys.stdlib_module_names:
                assert called.get(library, library) in names, f"{path.relative_to(ROOT)}: {library}"


def test_the_version_is_said_the_same_everywhere():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert stag4d.__version__ == VERSION
    assert re.search(rf"^## \[{re.escape(VERSION)}\]", read("CHANGELOG.md"), re.MULTILINE)


def test_the_registry_entry_is_complete():
    entry = PROJECT["tool"]["comfy"]
    assert entry["PublisherId"]
    assert "comfyui" not in entry["DisplayName"].lower()
    assert "web" not in entry  # WEB_DIRECTORY says it; twice would register the folder twice


def test_the_host_that_is_needed_is_the_same_for_the_registry_and_for_readers():
    needed = re.fullmatch(r">=(\d+\.\d+)\.0", PROJECT["tool"]["comfy"]["requires-comfyui"])
    assert needed
    for name in ("README.md", "tasks.py"):
        said = re.findall(r"(?<!Python )\b(\d+\.\d+) or newer", read(name))
        assert said and set(said) == {needed[1]}, name


@pytest.mark.parametrize("requirement", PROJECT["project"]["optional-dependencies"]["exports"])
def test_whoever_is_told_to_install_an_exporters_package_is_told_its_range(requirement):
    package = re.match(r"\w+", requirement)[0]
    code = {"gsply": "stag4d/export/spz.py", "fourdgs": "stag4d/export/fourdgs.py"}[package]
    for name in ("README.md", "docs/exports.md", "web/docs/STAG4DExport.md", code):
        advised = re.findall(rf"pip install [^`\n]*?(\S?{package}\S*)", read(name))
        assert advised, name
        for found in advised:
            assert found.startswith(f'"{requirement}"'), name  # in quotes, or the shell would write a file


@pytest.mark.parametrize("folder", ["stag4d", "nodes", "tests", "benchmarks", "training"])
def test_every_module_says_what_it_is(folder):
    for path in [*(ROOT / folder).rglob("*.py"), ROOT / "tasks.py", ROOT / "__init__.py"]:
        if "node_modules" in path.parts:  # npm packages of tests/web may contain Python files
            continue
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path.relative_to(ROOT)


def test_every_node_has_a_help_page_and_every_page_a_node(schemas):
    assert {path.stem for path in (ROOT / "web" / "docs").glob("*.md")} == schemas.keys()


def test_a_help_page_explains_every_input_and_output(schemas):
    for name, schema in schemas.items():
        page = read(f"web/docs/{name}.md")
        items = list(schema.inputs)
        for item in items:
            if item.io_type == "COMFY_DYNAMICCOMBO_V3":
                items.extend(nested for option in item.options["options"] for nested in option.inputs)
                assert all(f"`{option.key}`" in page for option in item.options["options"]), (name, item.id)
        for item in [*items, *schema.outputs]:
            assert f"`{item.id}`" in page, (name, item.id)


def test_every_task_is_listed_for_contributors_and_ci_runs_the_readmes_test_command():
    spec = importlib.util.spec_from_file_location("tasks", ROOT / "tasks.py")
    tasks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tasks)
    for task in tasks.TASKS:
        assert f"python3 tasks.py {task}" in read("CONTRIBUTING.md"), task
    assert "python3 tasks.py test" in read("README.md")
    assert "python3 tasks.py test" in read(".ci/run")


def test_the_readmes_python_example_runs(tmp_path, monkeypatch):
    pattern = r"^#+ [^\n]*Python.*?^```python\n(.*?)^```"
    section = re.search(pattern, read("README.md"), re.MULTILINE | re.DOTALL)
    assert section, "README.md: no python block under a heading with the word Python"
    example = tmp_path / "example.py"
    example.write_text(section.group(1), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example))
