"""Checkpoints: keys of inputs, the interval between saves, and the files of interrupted calls."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from full_disk import small_disk

from stag4d.resume import SAVE_SECONDS, Checkpoint, CheckpointError, CheckpointFolder, Timer, input_key


@dataclass
class Clock:
    """A clock that the test sets."""

    seconds: float = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """The clock of the timers."""
    clock = Clock()
    monkeypatch.setattr("stag4d.resume.time", clock)
    return clock


def test_a_key_is_the_sha256_of_text_and_tensor_bytes():
    values = torch.tensor([1.0, -2.5])
    expected = hashlib.sha256(b"steps 3" + values.numpy().tobytes() + "größe".encode()).hexdigest()
    assert input_key("steps 3", values, "größe") == expected


@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (4, 3, 2)])
def test_the_memory_layout_of_a_tensor_does_not_change_its_key(shape):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    strided = torch.stack([values, values], dim=-1)[..., 0]
    assert values.ndim == 0 or not strided.is_contiguous()
    assert input_key(strided) == input_key(values) == input_key(values.clone().requires_grad_())
    assert input_key(values) == hashlib.sha256(values.numpy().tobytes()).hexdigest()


def test_another_value_text_or_order_changes_the_key():
    frames = torch.zeros(2, 3)
    changed = frames.clone()
    changed[1, 2] = 1e-45  # the smallest change of one bit
    keys = [
        input_key("a", frames),
        input_key("b", frames),
        input_key("a", changed),
        input_key(frames, "a"),
        input_key("a", frames.double()),
        input_key("a"),
    ]
    assert len(set(keys)) == len(keys)


def test_a_timer_is_due_once_per_interval(clock):
    timer = Timer(5.0)
    assert not timer.is_due()
    clock.seconds += 5.0
    assert not timer.is_due()
    clock.seconds += 0.5
    assert timer.is_due()
    assert not timer.is_due()
    clock.seconds += 5.5
    assert timer.is_due()


def test_a_restarted_timer_counts_from_then(clock):
    timer = Timer(5.0)
    clock.seconds += 4.0
    timer.restart()
    clock.seconds += 4.0
    assert not timer.is_due()
    clock.seconds += 2.0
    assert timer.is_due()


def test_a_checkpoint_is_due_half_a_minute_after_the_last_save(clock, tmp_path):
    checkpoint = Checkpoint(tmp_path / "state")
    clock.seconds += SAVE_SECONDS - 1
    assert not checkpoint.is_due()
    checkpoint.save({}, {})
    clock.seconds += SAVE_SECONDS - 1
    assert not checkpoint.is_due()
    clock.seconds += 2
    assert checkpoint.is_due()


def test_a_loaded_checkpoint_equals_the_saved_state(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new" / "state")
    tensors = {
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "generator": torch.Generator().manual_seed(3).get_state(),
        "scalar": torch.tensor(7),
    }
    checkpoint.save(tensors, {"step": "12"})
    loaded, metadata = checkpoint.load()
    assert metadata == {"step": "12"}
    assert loaded.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(loaded[name], value), name
        assert loaded[name].dtype == value.dtype
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["state"]


def test_loaded_tensors_do_not_change_with_the_file(tmp_path):
    checkpoint = Checkpoint(tmp_path / "state")
    checkpoint.save({"values": torch.zeros(4096)}, {})
    loaded, _ = checkpoint.load()
    size = checkpoint.path.stat().st_size
    with checkpoint.path.open("r+b") as file:
        file.write(b"\xff" * size)
    assert torch.equal(loaded["values"], torch.zeros(4096))


def test_without_a_file_or_without_resume_nothing_is_loaded(tmp_path):
    assert Checkpoint(tmp_path / "state").load() is None
    Checkpoint(tmp_path / "state").save({"values": torch.zeros(1)}, {})
    assert Checkpoint(tmp_path / "state", resume=False).load() is None
    assert Checkpoint(tmp_path / "state").load() is not None


@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[:-4], lambda content: b"?" * 500],
    ids=["empty", "truncated", "overwritten"],
)
def test_a_damaged_file_is_an_error_that_names_it_and_the_remedy(tmp_path, damage):
    checkpoint = Checkpoint(tmp_path / "state")
    checkpoint.save({"values": torch.zeros(8)}, {})
    checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    with pytest.raises(ValueError, match=r"\(.+\); delete it to start from the beginning\.$") as caught:
        checkpoint.load()
    assert str(caught.value).startswith(f"checkpoint {checkpoint.path}: damaged ")


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "state")
    with pytest.raises(ValueError, match=r"damaged \(.*is a pipe, socket or device; expected a checkpoint"):
        Checkpoint(tmp_path / "state").load()


def test_a_damaged_state_is_ignored_with_a_warning_where_that_is_allowed(tmp_path, caplog):
    path = tmp_path / "state"
    path.write_bytes(b"damaged")
    strict, lenient = Checkpoint(path), Checkpoint(path, ignore_damaged=True)
    with pytest.raises(CheckpointError, match="delete it to start from the beginning"):
        strict.restore(strict.load)
    assert lenient.restore(lenient.load) is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"checkpoint {path}: damaged (")
    assert record.getMessage().endswith("; starting from the beginning.")


def test_a_whole_state_is_restored_where_damaged_ones_are_ignored(tmp_path):
    checkpoint = CheckpointFolder(tmp_path, ignore_damaged=True).checkpoint("key", ".state")
    checkpoint.save({"values": torch.ones(2)}, {"step": "3"})
    tensors, metadata = checkpoint.restore(checkpoint.load)
    assert torch.equal(tensors["values"], torch.ones(2))
    assert metadata == {"step": "3"}


def test_an_error_lists_the_remedy_before_starting_over():
    checkpoint = Checkpoint(Path("out/state"))
    assert str(checkpoint.error("version 9")) == (
        f"checkpoint {Path('out/state')}: version 9; delete it to start from the beginning."
    )
    assert str(checkpoint.error("version 9", "update STAG4D")) == (
        f"checkpoint {Path('out/state')}: version 9; update STAG4D, or delete it to start from the beginning."
    )


def test_a_failed_save_keeps_the_previous_state(tmp_path):
    checkpoint = Checkpoint(tmp_path / "state")
    checkpoint.save({"values": torch.ones(4)}, {"step": "1"})
    with small_disk(1000), pytest.raises(RuntimeError, match="state: cannot be written"):
        checkpoint.save({"values": torch.zeros(4096)}, {"step": "2"})
    loaded, metadata = checkpoint.load()
    assert metadata == {"step": "1"}
    assert torch.equal(loaded["values"], torch.ones(4))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_removed_checkpoint_is_gone_and_may_be_removed_again(tmp_path):
    checkpoint = Checkpoint(tmp_path / "state")
    checkpoint.save({}, {})
    for _ in range(2):
        checkpoint.remove()
        assert not checkpoint.path.exists()
    assert checkpoint.load() is None


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_names_its_checkpoints_by_key(tmp_path, resume):
    folder = CheckpointFolder(tmp_path, resume)
    key = input_key("settings")
    checkpoint = folder.checkpoint(key, ".latents")
    assert checkpoint.path == tmp_path / f"unfinished_{key[:16]}.latents"
    assert checkpoint.resume is resume
    assert folder.checkpoint(input_key("other"), ".latents").path != checkpoint.path


def leave_calls(folder: Path, sizes: list[int]) -> list[str]:
    """Write the files of unfinished calls, the oldest first; returns the names of the calls."""
    names = [f"unfinished_{number:016d}" for number in range(len(sizes))]
    for number, (name, size) in enumerate(zip(names, sizes, strict=True)):
        for suffix in (".checkpoint", ".safetensors"):
            (folder / f"{name}{suffix}").write_bytes(bytes(size))
            os.utime(folder / f"{name}{suffix}", (number, number))
    return names


def calls_in(folder: Path) -> list[str]:
    """Return the names of the calls that have files in a folder."""
    return sorted({path.stem for path in folder.glob("unfinished_*")})


def test_the_newest_calls_are_kept(tmp_path):
    names = leave_calls(tmp_path, [10] * 6)
    (tmp_path / "other.checkpoint").touch()
    CheckpointFolder(tmp_path, max_calls=3).checkpoint("new", ".checkpoint")
    assert calls_in(tmp_path) == names[4:]  # and the new one makes three
    assert len(list(tmp_path.iterdir())) == 5


def test_the_current_call_is_kept_however_old_it_is(tmp_path):
    names = leave_calls(tmp_path, [10] * 4)
    checkpoint = CheckpointFolder(tmp_path, max_calls=2, max_bytes=0).checkpoint("0" * 16, ".checkpoint")
    assert calls_in(tmp_path) == names[:1]
    assert checkpoint.path.exists()


def test_the_size_of_the_other_calls_is_limited(tmp_path):
    names = leave_calls(tmp_path, [10, 10, 500, 10])
    CheckpointFolder(tmp_path, max_bytes=100).checkpoint("new", ".checkpoint")
    assert calls_in(tmp_path) == names[3:]


def test_files_that_cannot_be_removed_stay(tmp_path, monkeypatch):
    names = leave_calls(tmp_path, [10] * 4)
    real_unlink = Path.unlink

    def unlink(path: Path, **options: bool) -> None:
        if path.stem == names[0]:
            raise PermissionError("open in another process")
        real_unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", unlink)
    CheckpointFolder(tmp_path, max_calls=1).checkpoint("new", ".checkpoint")
    assert calls_in(tmp_path) == names[:1]


def test_without_limits_all_calls_are_kept(tmp_path):
    names = leave_calls(tmp_path, [10] * 9)
    CheckpointFolder(tmp_path).checkpoint("new", ".checkpoint")
    assert calls_in(tmp_path) == names
