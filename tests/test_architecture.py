"""Allowed imports between packages, and rules that the linter does not have; checked in the sources."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "stag4d").rglob("*.py"))
NODES = sorted((ROOT / "nodes").rglob("*.py"))

EVERYTHING = {
    "devices",
    "startup",
    "temporary",
    "atomic",
    "progress",
    "lpips",
    "regular_file",
    "hub_cache",
    "ssim",
    "state_dict",
    "metadata",
    "resume",
    "kernels",
    "geometry",
    "types",
    "view_set",
    "view_track",
    "matting",
    "diffusion",
    "data",
    "scene",
    "rendering",
    "optimization",
    "export",
    "evaluation",
    "toys",
    "weights",
    "pipeline",
    "cli",
}
MAY_IMPORT = {
    "devices": set(),
    "startup": set(),
    "temporary": set(),
    "atomic": {"temporary"},
    "progress": set(),
    "regular_file": set(),
    "hub_cache": set(),
    "lpips": {"resume", "state_dict"},
    "ssim": set(),
    "state_dict": {"regular_file"},
    "metadata": set(),
    "resume": {"atomic", "regular_file"},
    "geometry": {"regular_file"},
    "types": {"devices", "geometry"},
    "view_track": {"types", "geometry"},
    "view_set": {"types", "geometry", "view_track"},
    "matting": {"progress"},
    "diffusion": {
        "atomic",
        "devices",
        "hub_cache",
        "progress",
        "regular_file",
        "resume",
        "view_set",
        "geometry",
    },
    "data": {"atomic", "progress", "regular_file", "resume", "types", "view_set", "geometry", "matting"},
    "scene": {"atomic", "metadata", "regular_file", "state_dict", "types", "geometry"},
    "kernels": {"progress"},
    "rendering": {"atomic", "devices", "kernels", "progress", "types", "geometry", "scene"},
    "optimization": {
        "devices",
        "lpips",
        "progress",
        "resume",
        "ssim",
        "types",
        "view_set",
        "geometry",
        "data",
        "scene",
        "rendering",
    },
    "export": {"atomic", "metadata", "progress", "regular_file", "temporary", "types", "geometry", "scene"},
    "evaluation": {"lpips", "progress", "ssim", "types", "geometry", "data"},
    "toys": {"kernels", "progress", "types", "view_set", "geometry"},
    "weights": set(),
    "pipeline": EVERYTHING,
    "cli": EVERYTHING,
    "__main__": {"startup", "cli", "kernels"},
    "__init__": set(),
}
FILE_PACKAGES = {"matting", "data", "export", "evaluation"}
LIBRARIES = {
    "diffusers": {"diffusion"},
    "huggingface_hub": {"diffusion"},
    "transformers": {"diffusion"},
    "safetensors": {"diffusion", "resume", "scene", "state_dict"},
    "PIL": FILE_PACKAGES,
    "av": FILE_PACKAGES,
    "plyfile": FILE_PACKAGES,
    "gsply": FILE_PACKAGES,
    "fourdgs": FILE_PACKAGES,
    "rembg": {"matting"},
    "tqdm": {"cli"},
}
LIBRARIES_OF_FILES = {
    "gsplat": ("rendering/gsplat_*.py",),
    "numba": ("kernels/compilation.py", "rendering/numba/*.py"),
    "llvmlite": ("rendering/numba/*.py",),  # a part of Numba's interface
}
FILES_WITH_KERNELS = ("rendering/numba/*.py", "toys/numba_*.py")  # their import needs Numba
NEEDING_DIFFUSERS = {
    "stag4d.pipeline.grid_views",
    "stag4d.pipeline.guidance",
    "stag4d.pipeline.multiview",
}  # not in pipeline itself
FREE = {"torch", "numpy", *sys.stdlib_module_names}
HOST = {"comfy", "comfy_api", "folder_paths", "server"}


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def where(path: Path, node: ast.AST) -> str:
    """Return file and line of a node for messages."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


@functools.cache
def imports(path: Path) -> list[tuple[ast.stmt, int, str, list[str]]]:
    """Return the imports of a file: each statement, its leading dots, the module, the names taken from it."""
    found: list[tuple[ast.stmt, int, str, list[str]]] = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found += [(node, 0, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            found.append((node, node.level, node.module or "", names))
    return found


def package_of(path: Path) -> str:
    """Return the package of a file in stag4d: the name of its folder, or of the module at the top."""
    relative = path.relative_to(ROOT / "stag4d")
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def targets(path: Path, level: int, module: str, names: list[str]) -> list[str]:
    """Return the packages of stag4d that a relative import refers to."""
    here = ["stag4d", *path.relative_to(ROOT / "stag4d").parts[:-1]]
    base = [*here[: len(here) - level + 1], *filter(None, module.split("."))]
    assert base[:1] == ["stag4d"], f"{path}: {'.' * level}{module} leaves the package"
    return [base[1]] if len(base) > 1 else [name for name in names if name != "__version__"]


def matches(path: Path, patterns: tuple[str, ...]) -> bool:
    """Return whether a file of stag4d matches one of the patterns."""
    return any(path.relative_to(ROOT / "stag4d").match(pattern) for pattern in patterns)


def test_import_table_lists_only_used_imports():
    """Except for the two outermost packages, which may import all others."""
    used: dict[str, set[str]] = {package_of(path): set() for path in SOURCES}
    for path in SOURCES:
        for _, level, module, names in imports(path):
            used[package_of(path)] |= set(targets(path, level, module, names)) if level else set()
    used = {package: found - {package} for package, found in used.items()}
    outermost = {"pipeline", "cli"}
    assert {package: found for package, found in used.items() if package not in outermost} == {
        package: allowed for package, allowed in MAY_IMPORT.items() if package not in outermost
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT / "stag4d").as_posix())
def test_imports_are_in_the_table(path):
    package = package_of(path)
    for node, level, module, names in imports(path):
        library = module.split(".")[0]
        if level:
            for target in targets(path, level, module, names):
                assert target == package or target in MAY_IMPORT[package], f"{where(path, node)}: {target}"
        elif library in LIBRARIES_OF_FILES:
            patterns = LIBRARIES_OF_FILES[library]
            assert matches(path, patterns), f"{where(path, node)}: {library}"
        else:
            allowed = library in FREE or package in LIBRARIES.get(library, set())
            assert allowed, f"{where(path, node)}: {library}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT / "stag4d").as_posix())
def test_only_files_of_kernels_import_their_compilation(path):
    """So that everything else works where Numba does not load."""
    for node, level, module, names in imports(path):
        if level and module.split(".")[-1] == "kernels":
            assert "compilation" not in names, f"{where(path, node)}: import names from kernels.compilation"
        if level and module.endswith("kernels.compilation"):
            assert matches(path, FILES_WITH_KERNELS), f"{where(path, node)}: {module}"


@pytest.mark.parametrize("path", NODES, ids=lambda path: path.relative_to(ROOT / "nodes").as_posix())
def test_nodes_import_only_the_host_its_adapters_and_public_names(path):
    """Nodes do not import each other, and adapters do not import nodes."""
    depth = len(path.relative_to(ROOT / "nodes").parts)  # 1 of a node, 2 of an adapter
    for node, level, module, names in imports(path):
        parts = module.split(".")
        if level == depth + 1:
            assert parts[0] == "stag4d", f"{where(path, node)}: {module}"
            is_public = len(parts) <= 2 or module in NEEDING_DIFFUSERS
            assert is_public, f"{where(path, node)}: {module} is not a package's public module"
            assert not any(name.startswith("_") for name in [*parts, *names]), f"{where(path, node)}: {names}"
        elif level == 0:
            assert parts[0] in FREE | HOST, f"{where(path, node)}: {module}"
        elif path.name != "__init__.py":
            assert level == 1 and (depth == 2 or parts[0] == "host"), f"{where(path, node)}: {module}"


@pytest.mark.parametrize("folder", ["benchmarks", "training", "tiny_models"])
def test_only_tests_import_from_the_tests(folder):
    helpers = {path.stem for path in (ROOT / "tests" / "support").iterdir()}
    for path in sorted((ROOT / folder).glob("*.py")):
        for node, level, module, _ in imports(path):
            top = module.split(".")[0]
            assert level or top not in helpers | {"tests"}, f"{where(path, node)}: {module}"


def test_pack_entry_imports_only_the_nodes():
    found = [(level, module) for _, level, module, _ in imports(ROOT / "__init__.py")]
    assert found == [(0, "importlib.util"), (1, "nodes")]


BROAD_EXCEPTS = {
    "stag4d/kernels/responsive.py": "BaseException",  # it raises the error in another thread
    "stag4d/matting/rembg_masks.py": "Exception",  # each of onnxruntime's errors derives from it
}


@pytest.mark.parametrize("path", [*SOURCES, *NODES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_asserts_prints_broad_excepts_or_sys_path(path):
    for node in ast.walk(parse(path)):
        assert not isinstance(node, ast.Assert), f"{where(path, node)}: assert; raise an error"
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {kind.id for kind in caught if isinstance(kind, ast.Name)}
            assert node.type is not None, f"{where(path, node)}: bare except"
            is_allowed = names == {BROAD_EXCEPTS.get(path.relative_to(ROOT).as_posix())}
            assert is_allowed or not names & {"Exception", "BaseException"}, (
                f"{where(path, node)}: broad except"
            )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{where(path, node)}: print"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) != ("sys", "path"), f"{where(path, node)}: sys.path"


def test_no_file_contains_a_local_path():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so the project's files are not known")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    local = re.compile(rb"(?<![\w.~-])/(?:work|root|farm|home/\w+|Users/\w+)/")
    for name in filter(None, listing.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes())[:8192]:
            found = local.search(content)
            assert found is None, f"{name}: {found.group().decode()}"
