"""Temporary files and locks: names, cleanup after killed processes, and two processes at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stag4d import temporary
from stag4d.temporary import locked, temporary_file, temporary_folder

pytest.importorskip("fcntl")

ROOT = Path(__file__).parents[1]
DAY = 24 * 3600
LEAVE = """
import os, sys
from pathlib import Path
from stag4d.temporary import temporary_file, temporary_folder
with temporary_file(Path(sys.argv[1])) as file, temporary_folder(Path(sys.argv[1])) as folder:
    file.write_text("half")
    (folder / "a").write_text("half")
    os._exit(9)
"""
HOLD = """
import sys
from pathlib import Path
from stag4d.temporary import locked, temporary_file
folder = Path(sys.argv[1])
with locked(folder, "a"), temporary_file(folder) as file:
    sys.stdout.write(file.name + "\\n")
    sys.stdout.flush()
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def _search_again(monkeypatch) -> None:
    """Search folders each time."""
    monkeypatch.setattr(temporary, "_CLEANUP_SECONDS", 0)


def leave_files(folder: Path) -> list[Path]:
    """Return a file and a folder that a process has left behind, as after a kill."""
    assert subprocess.run([sys.executable, "-c", LEAVE, str(folder)], cwd=ROOT, check=False).returncode == 9
    left = sorted(folder.iterdir())
    assert len(left) == 2
    return left


def use(folder: Path) -> None:
    """Make a temporary file in a folder, which cleans it."""
    with temporary_file(folder):
        pass


def age(path: Path, seconds: float) -> None:
    """Set the modification time of a file, or of a folder and its files."""
    then = time.time() - seconds
    for entry in [path, *path.iterdir()] if path.is_dir() else [path]:
        os.utime(entry, (then, then))


def test_files_and_folders_are_new_empty_and_removed_at_the_end(tmp_path):
    with (
        temporary_file(tmp_path) as file,
        temporary_folder(tmp_path) as folder,
        temporary_file(tmp_path) as b,
    ):
        assert file.read_bytes() == b""
        assert list(folder.iterdir()) == []
        assert len({file, folder, b}) == 3
        for path in (file, folder, b):
            assert re.fullmatch(r"\.stag4d-[0-9a-f]{8}-[0-9a-f]{16}\.part", path.name)
        (folder / "c").touch()
    assert list(tmp_path.iterdir()) == []


def test_names_do_not_depend_on_the_process_id(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 2)
    names = set()
    for _ in range(20):
        with temporary_file(tmp_path) as file:
            names.add(file.name)
    assert len(names) == 20


def test_what_a_killed_process_has_left_is_removed_at_the_next_write(tmp_path):
    leave_files(tmp_path)
    use(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_another_machine_has_left_is_removed_after_a_day(tmp_path, monkeypatch):
    left = leave_files(tmp_path)
    monkeypatch.setattr(temporary, "_machine", lambda: "01234567")
    use(tmp_path)
    assert sorted(tmp_path.iterdir()) == left
    for path in left:
        age(path, DAY + 60)
    use(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_as_old_as_its_newest_file(tmp_path, monkeypatch):
    left = next(path for path in leave_files(tmp_path) if path.is_dir())
    monkeypatch.setattr(temporary, "_machine", lambda: "01234567")
    age(left, DAY + 60)
    os.utime(left / "a")
    use(tmp_path)
    assert left.exists()


def test_without_locks_only_age_counts(tmp_path, monkeypatch):
    left = leave_files(tmp_path)
    monkeypatch.setattr(temporary, "_try_lock", lambda descriptor: None)
    use(tmp_path)
    assert sorted(tmp_path.iterdir()) == left
    for path in left:
        age(path, DAY + 60)
    use(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_never_removed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    names = [".a.png.2.part", ".stag4d-1.part", "stag4d-01234567-0123456789abcdef.part", ".stag4d.part"]
    for name in names:
        (folder / name).touch()
        age(folder / name, 9 * DAY)
    link = folder / f".stag4d-{temporary._machine()}-0123456789abcdef.part"
    link.symlink_to(outside)
    os.mkfifo(folder / f".stag4d-{temporary._machine()}-fedcba9876543210.part")  # to open it would wait
    use(folder)
    assert {path.name for path in folder.iterdir()} >= set(names)
    assert (outside / "a").exists()


def test_files_and_locks_of_a_living_process_are_kept_until_it_is_killed(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        held = tmp_path / process.stdout.readline().strip()
        age(held, DAY + 60)  # however old it is
        use(tmp_path)
        assert held.exists()
        with pytest.raises(BlockingIOError), locked(tmp_path, "a"):
            pass
        with locked(tmp_path, "other"):
            pass
    finally:
        process.kill()
        process.communicate()
    with locked(tmp_path, "a"):
        use(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_held_once_per_process_too(tmp_path):
    with locked(tmp_path, "a"), pytest.raises(BlockingIOError), locked(tmp_path, "a"):
        pass
    with locked(tmp_path, "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_one_on_some_file_systems_have_one_lock(tmp_path):
    (tmp_path / "run1").mkdir()
    (tmp_path / "latest").symlink_to("run1", target_is_directory=True)
    for first, second in (("Out", "out"), ("\u00e9", "e\u0301"), ("stra\u00dfe", "STRASSE")):
        with locked(tmp_path, first), pytest.raises(BlockingIOError), locked(tmp_path, second):
            pass
    with locked(tmp_path / "run1", ""), pytest.raises(BlockingIOError), locked(tmp_path / "latest", ""):
        pass
    with locked(tmp_path, "a"), locked(tmp_path, "b"), locked(tmp_path, ""):
        pass


def test_a_machine_is_known_by_what_macos_draws_at_its_start(monkeypatch):
    sessions = iter(["11111111-AAAA\n", "11111111-AAAA\n", "22222222-BBBB\n"])

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command == ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.CompletedProcess(command, 0, next(sessions))

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", run)
    first, same, restarted = (temporary._machine.__wrapped__() for _ in range(3))
    assert first == same != restarted


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), subprocess.CalledProcessError(1, []), subprocess.TimeoutExpired([], 10)]
)
def test_a_machine_without_such_a_number_is_another_one_in_each_process(monkeypatch, error):
    def run(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", run)
    assert temporary._machine.__wrapped__() != temporary._machine.__wrapped__()


def test_a_lock_file_that_is_a_link_is_refused(tmp_path):
    with locked(tmp_path, "a"):
        (lock_file,) = tmp_path.iterdir()
    lock_file.symlink_to(tmp_path / "b")
    with pytest.raises(OSError, match=r"symbolic links"), locked(tmp_path, "a"):
        pass
    assert not (tmp_path / "b").exists()


def test_a_folder_is_searched_once_an_hour(tmp_path, monkeypatch):
    monkeypatch.setattr(temporary, "_CLEANUP_SECONDS", 3600)
    use(tmp_path)
    left = leave_files(tmp_path)
    use(tmp_path)
    assert sorted(tmp_path.iterdir()) == left
