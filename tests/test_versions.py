"""`tasks.py versions`: what the oldest and the newest environment contain, and when they are made again."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TORCH = "torch==1.2.3"


@pytest.fixture
def versions(tmp_path, monkeypatch):
    """The module with a temporary folder of environments, its commands recorded and not executed."""
    spec = importlib.util.spec_from_file_location("versions_under_test", ROOT / ".ci" / "versions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ENVIRONMENTS", tmp_path / "environments")
    module.commands, module.failing = [], set()

    def run(command, **options):
        module.commands.append(list(command))
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True, exist_ok=True)
        failed = any(word in command or word in command[0] for word in module.failing)
        return subprocess.CompletedProcess(command, int(failed))

    monkeypatch.setattr(module.subprocess, "run", run)
    return module


def installed(versions):
    return [command for command in versions.commands if "pip" in command]


def test_oldest_environment_has_the_lower_bounds_of_the_requirements(versions):
    assert versions.main(TORCH, ["oldest"]) == 0
    pins = (versions.ENVIRONMENTS / "oldest.txt").read_text().split()
    requirements = (ROOT / "requirements.txt").read_text().split()
    assert pins == [TORCH, *(line.replace(">=", "==") for line in requirements if ">=" in line)]
    for name in ("diffusers", "transformers", "safetensors", "huggingface_hub", "av", "pillow", "numpy"):
        assert any(re.fullmatch(rf"{name}==[\d.]+", pin) for pin in pins), name
    first, second = installed(versions)
    assert first[-1] == TORCH
    assert str(versions.ENVIRONMENTS / "oldest.txt") in second and "--upgrade" not in second


def test_newest_environment_has_the_latest_releases_and_the_same_torch(versions):
    assert versions.main(TORCH, ["newest"]) == 0
    assert (versions.ENVIRONMENTS / "newest.txt").read_text().split() == [TORCH]
    assert "--upgrade" in installed(versions)[1]


def test_both_are_tested_and_one_that_fails_is_named(versions, capsys):
    versions.failing = {str(versions.ENVIRONMENTS / "newest")}
    versions.call = lambda command: versions.subprocess.run(command)
    assert versions.main(TORCH, []) == 1
    tested = [command[0] for command in versions.commands if "pytest" in command]
    assert ["oldest" in tested[0], "newest" in tested[1]] == [True, True]
    assert "the tests fail with the newest." in capsys.readouterr().err


def test_every_tested_path_exists(versions):
    for path in versions.TESTS:
        assert (ROOT / path).exists(), path


def test_an_unchanged_environment_is_kept_and_another_torch_makes_it_again(versions):
    versions.main(TORCH, [])
    versions.commands.clear()
    versions.main(TORCH, [])
    assert installed(versions) == []
    versions.main("torch==1.2.4", ["oldest"])
    assert len(installed(versions)) == 2


def test_failed_installation_ends_the_task_and_is_repeated(versions):
    versions.failing = {TORCH}
    with pytest.raises(SystemExit, match=r"error: versions: '.*install.*' failed"):
        versions.main(TORCH, ["oldest"])
    versions.failing = set()
    assert versions.main(TORCH, ["oldest"]) == 0
    assert [TORCH in command for command in installed(versions)].count(True) == 2


def test_unknown_environment_is_refused(versions, capsys):
    assert versions.main(TORCH, ["older"]) == 2
    assert "'older'; expected oldest or newest" in capsys.readouterr().err
    assert versions.commands == []


def test_workflow_runs_the_task():
    assert "python tasks.py versions" in (ROOT / ".github" / "workflows" / "test.yml").read_text()
