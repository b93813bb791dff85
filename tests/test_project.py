"""The project's files are consistent with each other, and the README's example runs."""

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


def test_requirements_file_lists_the_package_dependencies():
    assert read("requirements.txt").split() == PROJECT["project"]["dependencies"]


def test_requirements_leave_the_torch_version_to_comfyui():
    assert "torch" in PROJECT["project"]["dependencies"]
    names = {re.split(r"[^\w-]", line)[0] for line in read("requirements.txt").split()}
    assert not names & {"torchvision", "torchaudio"}


def test_every_imported_library_is_a_declared_dependency():
    extras = PROJECT["project"]["optional-dependencies"]
    declared = [*PROJECT["project"]["dependencies"], *(line for lines in extras.values() for line in lines)]
    names = {re.split(r"[^\w-]", line)[0] for line in declared}
    called = {"PIL": "pillow", "llvmlite": "numba"}  # by import name; llvmlite is part of Numba
    for path in [*(ROOT / "stag4d").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            for library in {module.split(".")[0] for module in modules} - sys.stdlib_module_names:
                assert called.get(library, library) in names, f"{path.relative_to(ROOT)}: {library}"


def test_version_is_the_same_in_all_files():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert stag4d.__version__ == VERSION
    assert f"\nversion: {VERSION}\n" in read("CITATION.cff")
    assert re.search(rf"^## \[{re.escape(VERSION)}\]", read("CHANGELOG.md"), re.MULTILINE)


def test_python_versions_are_those_of_the_test_workflow():
    classifiers = "\n".join(PROJECT["project"]["classifiers"])
    versions = re.findall(r"Python :: (3\.\d+)$", classifiers, re.MULTILINE)
    matrix = re.search(r"python: \[(.*)\]", read(".github/workflows/test.yml"))
    assert [version.strip('" ') for version in matrix[1].split(",")] == versions
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"


def test_installed_package_has_type_information():
    assert (ROOT / "stag4d" / "py.typed").is_file()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["stag4d"]


def test_registry_entry_is_complete():
    entry = PROJECT["tool"]["comfy"]
    assert entry["PublisherId"]
    assert "comfyui" not in entry["DisplayName"].lower()
    assert "web" not in entry  # WEB_DIRECTORY is enough; with both, the folder is registered twice


def test_registry_package_leaves_out_only_development_files():
    ignored = [line.lstrip("/") for line in read(".comfyignore").splitlines() if not line.startswith("#")]
    for line in ignored:
        assert list(ROOT.glob(line)), line
    loaded = ("__init__.py", "nodes", "pyproject.toml", "requirements.txt", "stag4d", "web", "workflows")
    for needed in loaded:
        assert not any(line.startswith(needed) for line in ignored), needed


def test_required_comfyui_version_is_the_same_in_all_files():
    needed = re.fullmatch(r">=(\d+\.\d+)\.0", PROJECT["tool"]["comfy"]["requires-comfyui"])
    assert needed
    for name in ("README.md", "tasks.py"):
        found = re.findall(r"(?<!Python )\b(\d+\.\d+) or newer", read(name))
        assert found and set(found) == {needed[1]}, name


@pytest.mark.parametrize("requirement", PROJECT["project"]["optional-dependencies"]["exports"])
def test_install_commands_for_export_packages_have_the_declared_version_range(requirement):
    package = re.match(r"\w+", requirement)[0]
    code = "stag4d/export/packages.py"
    for name in ("README.md", "docs/exports.md", "web/docs/STAG4DExport.md", code):
        advised = re.findall(rf"pip install [^`\n]*?(\S?{package}\S*)", read(name))
        assert advised, name
        for found in advised:
            assert found.startswith(f'"{requirement}"'), name  # quoted, since > redirects in a shell


@pytest.mark.parametrize("folder", ["stag4d", "nodes", "tests", "benchmarks", "training", "tiny_models"])
def test_every_module_has_a_docstring(folder):
    for path in [*(ROOT / folder).rglob("*.py"), ROOT / "tasks.py", ROOT / "__init__.py"]:
        if "node_modules" in path.parts:  # npm packages of tests/web may contain Python files
            continue
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path.relative_to(ROOT)


def test_nodes_and_help_pages_correspond(schemas):
    assert {path.stem for path in (ROOT / "web" / "docs").glob("*.md")} == schemas.keys()


def test_help_page_describes_every_input_and_output(schemas):
    for name, schema in schemas.items():
        page = read(f"web/docs/{name}.md")
        items = list(schema.inputs)
        for item in items:
            if item.io_type == "COMFY_DYNAMICCOMBO_V3":
                items.extend(nested for option in item.options["options"] for nested in option.inputs)
                assert all(f"`{option.key}`" in page for option in item.options["options"]), (name, item.id)
        for item in [*items, *schema.outputs]:
            assert f"`{item.id}`" in page, (name, item.id)


def test_contributing_lists_every_task_and_ci_runs_the_test_task():
    spec = importlib.util.spec_from_file_location("tasks", ROOT / "tasks.py")
    tasks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tasks)
    for task in tasks.TASKS:
        assert f"python3 tasks.py {task}" in read("CONTRIBUTING.md"), task
    assert "python3 tasks.py test" in read("README.md")
    assert "python3 tasks.py test" in read(".ci/run")
    assert "python tasks.py test" in read(".github/workflows/test.yml")


def test_python_example_of_the_readme_runs(tmp_path, monkeypatch):
    pattern = r"^#+ [^\n]*Python.*?^```python\n(.*?)^```"
    section = re.search(pattern, read("README.md"), re.MULTILINE | re.DOTALL)
    assert section, "README.md: no python block under a heading with the word Python"
    example = tmp_path / "example.py"
    example.write_text(section.group(1), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example))
