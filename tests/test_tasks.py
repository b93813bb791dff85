"""tasks.py: what it installs and when, the commands of each task, and its error messages."""

import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """The module tasks in a temporary project folder, with commands recorded and not executed."""
    spec = importlib.util.spec_from_file_location("tasks_under_test", ROOT / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    venv = tmp_path / ".venv"
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", venv)
    monkeypatch.setattr(module, "PYTHON", "python")
    monkeypatch.setattr(module, "which", {"npm": "npm"}.get)
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    web = tmp_path / "tests" / "web"
    web.mkdir(parents=True)
    (web / "package-lock.json").write_text("{}", encoding="utf-8")
    module.commands, module.failing = [], {}

    def run(command, cwd=None):
        module.commands.append(list(command))
        if "venv" in command:
            venv.mkdir()
        if command[:2] == ["npm", "ci"]:
            (web / "node_modules").mkdir(exist_ok=True)
        return next((status for word, status in module.failing.items() if word in command), 0)

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(module, "works", venv.is_dir)
    return module


def installed(tasks):
    """Return the arguments of each pip command, without its options."""
    options = {"--disable-pip-version-check", "--quiet"}
    return [
        [part for part in command[command.index("install") + 1 :] if part not in options]
        for command in tasks.commands
        if "pip" in command
    ]


def programs(tasks):
    """Return the recorded commands of ruff, mypy, pytest and npm, without ``python -m`` and npm's folder."""
    folder = str(tasks.ROOT / "tests" / "web")
    return [
        " ".join(part for part in command if part not in ("python", "-m", "--prefix", folder))
        for command in tasks.commands
        if "pip" not in command and "venv" not in command
    ]


def test_torch_is_installed_first_and_alone(tasks):
    tasks.prepare()
    requirements = str(tasks.ROOT / "requirements.txt")
    assert installed(tasks) == [[tasks.TORCH], ["-r", requirements], ["--no-deps", "-e", str(tasks.ROOT)]]


def test_an_unchanged_environment_is_not_installed_again(tasks):
    tasks.prepare(dev=True)
    tasks.commands.clear()
    tasks.prepare()
    tasks.prepare(dev=True)
    assert tasks.commands == []


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_changed_requirements_are_installed_into_the_same_environment(tasks, name):
    tasks.prepare(dev=True)
    before = installed(tasks)
    tasks.commands.clear()
    (tasks.ROOT / name).write_text("changed", encoding="utf-8")
    tasks.prepare(dev=True)
    assert installed(tasks) == before
    assert not any("venv" in command for command in tasks.commands)


def test_failed_installation_is_reported_and_repeated_by_the_next_run(tasks, capsys):
    tasks.failing = {tasks.TORCH: 1}
    assert tasks.main(["lint"]) == 1
    assert f"'pip install {tasks.TORCH}' failed" in capsys.readouterr().err
    assert programs(tasks) == []
    tasks.failing = {}
    assert tasks.main(["lint"]) == 0
    assert installed(tasks).count([tasks.TORCH]) == 2


def test_python_without_venv_is_reported_with_the_package_to_install(tasks, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "find_spec", lambda name: None if name == "ensurepip" else True)
    assert tasks.main(["demo"]) == 1
    assert "-venv' installs the missing modules" in capsys.readouterr().err
    assert tasks.commands == []


def test_old_python_is_refused_before_any_command(tasks, monkeypatch, capsys):
    monkeypatch.setattr(tasks.sys, "version_info", (3, 9, 18))
    assert tasks.main(["demo"]) == 2
    assert "this is Python 3.9.18; Python 3.10 or newer is needed" in capsys.readouterr().err
    assert tasks.commands == []


def test_every_stage_of_test_runs_and_the_first_failure_is_the_exit_status(tasks, capsys):
    tasks.failing = {"mypy": 2, "pytest": 1}
    assert tasks.main(["test", "-x"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "== failed: types and tests"
    assert programs(tasks) == [
        "ruff check .",
        "ruff format --check .",
        "npm ci --no-audit --no-fund",
        "npm run lint",
        "npm run format:check",
        "npm run types",
        "mypy",
        "mypy -p stag4d_pack.nodes",
        "pytest -n=auto --maxprocesses=4 --dist=loadfile --durations=15 -x",
    ]


def test_coverage_option_does_not_take_a_path_as_its_value(tasks):
    tasks.main(["test", "--cov", "tests/scene"])
    assert programs(tasks)[-1].endswith(" --cov --durations=15 tests/scene")


def test_host_tests_are_included_where_comfyui_is_found(tasks, monkeypatch, tmp_path):
    (tmp_path / "main.py").touch()
    monkeypatch.setenv("COMFYUI_PYTHON", str(tmp_path / "main.py"))
    assert tasks.main(["test"]) == 0
    assert tasks.commands[-1][-3:] == ["-m", "not slow", "--durations=15"]


def test_lint_with_fix_corrects_and_formats(tasks):
    assert tasks.main(["lint", "--fix"]) == 0
    assert programs(tasks) == [
        "ruff check --fix .",
        "ruff format .",
        "npm ci --no-audit --no-fund",
        "npm run lint -- --fix",
        "npm run format",
        "npm run types",
    ]


def test_unknown_argument_of_lint_is_refused(tasks, capsys):
    assert tasks.main(["lint", "--fixx"]) == 1
    assert "lint: the arguments are --fixx; expected --fix or none." in capsys.readouterr().err


def test_npm_packages_are_installed_again_only_when_the_lockfile_changes(tasks):
    lockfile = tasks.ROOT / "tests" / "web" / "package-lock.json"
    for content, runs in (("{}", 1), ("{}", 1), ('{"a": 1}', 2)):
        lockfile.write_text(content, encoding="utf-8")
        assert tasks.main(["lint"]) == 0
        assert programs(tasks).count("npm ci --no-audit --no-fund") == runs


@pytest.mark.parametrize(
    ("ci", "status", "message"), [("", 0, "are skipped"), ("true", 1, "are required with CI=true")]
)
def test_missing_npm_fails_only_in_ci(tasks, monkeypatch, capsys, ci, status, message):
    monkeypatch.setattr(tasks, "which", {}.get)
    monkeypatch.setenv("CI", ci)
    assert tasks.main(["lint"]) == status
    assert f"npm is not installed; the checks of web/ {message}" in capsys.readouterr().err
    assert programs(tasks) == ["ruff check .", "ruff format --check ."]


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need administrator rights on Windows")
def test_link_for_mypy_leads_to_the_project(tasks, tmp_path):
    link = tasks.ROOT / ".mypy_cache" / "pack" / "stag4d_pack"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "where the project was")
    tasks.link_pack()
    tasks.link_pack()
    assert link.samefile(tasks.ROOT)


def test_output_folder_of_the_user_comes_after_the_default(tasks):
    tasks.main(["demo", "-o", "mine"])
    assert tasks.commands[-1] == ["python", "-m", "stag4d", "demo", "-o", "demo_out", "-o", "mine"]


def test_missing_comfyui_is_explained(tasks, capsys):
    assert tasks.main(["host-test"]) == 1
    assert "No ComfyUI found" in capsys.readouterr().err


def test_versions_are_tested_by_their_own_program_with_the_same_torch(tasks):
    assert tasks.main(["versions", "oldest"]) == 0
    program = str(tasks.ROOT / ".ci" / "versions.py")
    assert tasks.commands == [[tasks.sys.executable, program, tasks.TORCH, "oldest"]]


def test_unknown_task_lists_all_tasks(tasks, capsys):
    assert tasks.main(["tset"]) == 2
    printed = capsys.readouterr().err
    assert all(name in printed for name in tasks.TASKS)
