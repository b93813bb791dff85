"""Atomic writes."""

from __future__ import annotations

import errno
import os
import re
import threading
from pathlib import Path

import pytest

from stag4d.atomic import replacing, replacing_files, write_whole

PATTERN = re.compile(r"[0-9]+\.txt")


def test_failed_write_keeps_the_old_file_and_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a" * 255, "a" * 251 + ".mp4", "\u00e4" * 127, "\u732b" * 85])
def test_names_of_255_bytes_can_be_written(tmp_path, name):
    assert len(name.encode()) in (254, 255)
    write_whole(tmp_path / name, b"1")
    write_whole(tmp_path / name, b"2")
    with replacing_files(tmp_path / "new" / name, PATTERN) as temporary:
        (temporary / "1.txt").write_text("1")
    with replacing_files(tmp_path / "new" / name, PATTERN) as temporary:
        (temporary / "2.txt").write_text("2")
    assert (tmp_path / name).read_bytes() == b"2"
    assert [path.name for path in (tmp_path / "new" / name).iterdir()] == ["2.txt"]


def test_a_name_that_cannot_be_written_is_refused_before_the_content_is_made(tmp_path):
    for path, reason in ((tmp_path / ("a" * 256), "File name too long"), (tmp_path, "Is a directory")):
        with pytest.raises(RuntimeError, match=f"cannot be written .*{reason}"), replacing(path):
            raise AssertionError("the content was made")
    assert list(tmp_path.iterdir()) == []


def test_content_is_flushed_before_its_name_changes_and_the_name_after_that(tmp_path, monkeypatch):
    events = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        events.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> Path:
        events.append("rename")
        return real_replace(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("file descriptors have no names on this system")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert events == [str(temporary), "rename", str(tmp_path)]
    events.clear()
    with replacing_files(tmp_path / "b", PATTERN) as temporary:
        (temporary / "1.txt").write_text("1")
    assert events == [str(temporary / "1.txt"), str(temporary), "rename", str(tmp_path)]


def test_a_disk_that_fails_at_the_flush_is_an_error_and_keeps_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RuntimeError, match=r"cannot be written \(\[Errno 28\] No space left"):
        write_whole(tmp_path / "a", b"new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_file_system_without_fsync_can_be_written(tmp_path, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", fail)
    write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("is_new", [True, False])
def test_only_one_call_at_a_time_writes_into_a_folder(tmp_path, is_new):
    pytest.importorskip("fcntl")
    folder = tmp_path / "a"
    if not is_new:
        folder.mkdir()
    with replacing_files(folder, PATTERN) as temporary:
        (temporary / "1.txt").write_text("first")
        with (
            pytest.raises(RuntimeError, match=r"a: another process is writing there; wait for it, or"),
            replacing_files(folder, PATTERN),
        ):
            raise AssertionError("both write")
        with replacing_files(tmp_path / "b", PATTERN) as other:
            (other / "1.txt").write_text("another folder")
    assert [path.name for path in folder.iterdir()] == ["1.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_folder_and_a_link_to_it_have_one_lock(tmp_path):
    pytest.importorskip("fcntl")
    (tmp_path / "run1").mkdir()
    (tmp_path / "latest").symlink_to("run1", target_is_directory=True)
    with (
        replacing_files(tmp_path / "run1", PATTERN),
        pytest.raises(RuntimeError, match="latest: another process is writing there"),
        replacing_files(tmp_path / "latest", PATTERN),
    ):
        raise AssertionError("both write")


@pytest.mark.parametrize("is_new", [True, False])
def test_an_error_of_the_caller_is_not_taken_for_a_lock(tmp_path, is_new):
    if not is_new:
        (tmp_path / "a").mkdir()
    with (
        pytest.raises(RuntimeError, match=r"a: cannot be written \(of the caller\)"),
        replacing_files(tmp_path / "a", PATTERN),
    ):
        raise BlockingIOError("of the caller")


def test_a_folder_that_appears_meanwhile_keeps_its_files(tmp_path):
    with replacing_files(tmp_path / "a", PATTERN) as temporary:
        (temporary / "1.txt").write_text("1")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "notes").write_text("of another program")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["1.txt", "notes"]


def test_threads_that_write_the_same_file_leave_one_of_its_contents(tmp_path):
    contents = [bytes([65 + number]) * 10_000 for number in range(8)]
    threads = [threading.Thread(target=write_whole, args=(tmp_path / "a", content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() in contents
