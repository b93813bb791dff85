"""tasks.py: what it installs and when, what it says when it cannot, and that every stage runs."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """A private tasks module in a project folder of its own, whose commands are recorded instead of run."""
    spec = importlib.util.spec_from_file_location("tasks_under_test", ROOT / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    venv = tmp_path / ".venv"
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", venv)
    monkeypatch.setattr(module, "PYTHON", "python")
    monkeypatch.setattr(module, "LINT", ("ruff",))
    monkeypatch.setattr(module, "TYPES", ("mypy",))
    module.commands, module.failing = [], {}

    def run(command, cwd=None):
        module.commands.append(command)
        if "venv" in command:
            venv.mkdir()
        return next((status for word, status in module.failing.items() if word in command), 0)

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(module, "works", venv.is_dir)
    return module


def installed(tasks):
    """Return what each pip command was asked for, without the options before it."""
    options = {"--disable-pip-version-check", "--quiet"}
    return [
        [part for part in command[command.index("install") + 1 :] if part not in options]
        for command in tasks.commands
        if "pip" in command
    ]


def test_torch_is_installed_first_and_alone(tasks):
    tasks.prepare()
    root = str(tasks.ROOT)
    assert installed(tasks) == [[tasks.TORCH], ["-r", f"{root}/requirements.txt"], ["--no-deps", "-e", root]]


def test_a_second_run_installs_nothing(tasks):
    tasks.prepare(dev=True)
    tasks.commands.clear()
    tasks.prepare()
    tasks.prepare(dev=True)
    assert tasks.commands == []


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_a_changed_list_is_installed_again_into_the_same_environment(tasks, name):
    tasks.prepare(dev=True)
    before = installed(tasks)
    tasks.commands.clear()
    (tasks.ROOT / name).write_text("changed", encoding="utf-8")
    tasks.prepare(dev=True)
    assert installed(tasks) == before
    assert not any("venv" in command for command in tasks.commands)


def test_a_failed_download_is_said_and_tried_again_next_time(tasks, capsys):
    tasks.failing = {tasks.TORCH: 1}
    assert tasks.main(["lint"]) == 1
    assert f"'pip install {tasks.TORCH}' failed" in capsys.readouterr().err
    assert ["ruff"] not in tasks.commands
    tasks.failing = {}
    assert tasks.main(["lint"]) == 0
    assert installed(tasks).count([tasks.TORCH]) == 2


def test_a_python_without_venv_is_told_what_to_install(tasks, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "find_spec", lambda name: None if name == "ensurepip" else True)
    assert tasks.main(["demo"]) == 1
    assert "-venv' adds what is missing" in capsys.readouterr().err
    assert tasks.commands == []


def test_an_old_python_is_refused_before_anything_runs(tasks, monkeypatch, capsys):
    monkeypatch.setattr(tasks.sys, "version_info", (3, 9, 18))
    assert tasks.main(["demo"]) == 2
    assert "this is Python 3.9.18; Python 3.10 or newer is needed" in capsys.readouterr().err
    assert tasks.commands == []


def test_every_stage_runs_and_the_first_failure_is_the_result(tasks, monkeypatch, tmp_path):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    tasks.failing = {"mypy": 2, "pytest": 1}
    tasks.prepare(dev=True)
    tasks.commands.clear()
    assert tasks.main(["test", "-x"]) == 2
    commands = [list(command) for command in tasks.commands]
    assert commands == [["ruff"], ["mypy"], ["python", "-m", "pytest", "-x"]]


def test_the_host_tests_run_too_where_a_host_is(tasks, monkeypatch, tmp_path):
    (tmp_path / "main.py").touch()
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    monkeypatch.setenv("COMFYUI_PYTHON", str(tmp_path / "main.py"))
    assert tasks.main(["test"]) == 0
    assert list(tasks.commands[-1]) == ["python", "-m", "pytest", "-m", "not slow"]


def test_an_output_folder_of_the_users_comes_after_the_default(tasks):
    tasks.main(["demo", "-o", "mine"])
    assert tasks.commands[-1] == ["python", "-m", "stag4d", "demo", "-o", "demo_out", "-o", "mine"]


def test_a_missing_host_is_explained(tasks, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    assert tasks.main(["host-test"]) == 1
    assert "No ComfyUI found" in capsys.readouterr().err


def test_an_unknown_task_lists_the_known_ones(tasks, capsys):
    assert tasks.main(["tset"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in tasks.TASKS)
