"""Frames of a step on one thread or several: the choice by time, and results that do not depend on it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch

from stag4d.optimization import frame_pool as module
from stag4d.optimization.frame_pool import frame_pool, parallel_choices, split_frames
from stag4d.progress import Interrupted


def chosen(seconds: Callable[[int, bool], float], num_steps: int) -> list[bool]:
    """Return the choice of each step when a step takes the given time."""
    choices = parallel_choices()
    found = [next(choices)]
    for step in range(num_steps - 1):
        found.append(choices.send(seconds(step, found[-1])))
    return found


def test_parallel_frames_are_used_where_they_are_faster():
    found = chosen(lambda step, is_parallel: 1.0 if is_parallel else 1.6, 1500)
    assert not found[0]  # compiles
    assert sum(not is_parallel for is_parallel in found) < 30


def test_one_thread_is_used_where_threads_are_much_slower():
    found = chosen(lambda step, is_parallel: 45.0 if is_parallel else 1.0, 1500)
    assert 1 <= sum(found) <= 6  # each trial ends after one step
    assert sum(45 if is_parallel else 1 for is_parallel in found) < 1.2 * 1500


def test_other_processes_that_start_later_are_noticed_within_a_few_steps():
    found = chosen(lambda step, is_parallel: (45.0 if step > 700 else 0.6) if is_parallel else 1.0, 1500)
    assert all(found[600:700])
    assert sum(found[701:]) < 12


def test_one_slow_step_changes_nothing():
    def seconds(step: int, is_parallel: bool) -> float:
        return 1.0 if is_parallel else 2.0

    disturbed = chosen(lambda step, is_parallel: 90.0 if step == 333 else seconds(step, is_parallel), 400)
    assert disturbed == chosen(seconds, 400)


def test_steps_that_grow_are_no_reason_to_compare_in_every_step():
    def seconds(step: int, is_parallel: bool) -> float:
        return (1 + step / 50) * (1.0 if is_parallel else 1.5)

    assert sum(not is_parallel for is_parallel in chosen(seconds, 1500)) < 100


def test_a_gpu_computes_as_many_frames_at_once_as_fit_and_a_cpu_one_per_thread():
    frames, gpu = [5, 1, 3, 0], torch.device("cuda")
    assert split_frames(frames, torch.device("cpu"), 100) == [[5], [1], [3], [0]]
    assert split_frames(frames, gpu, 7 * 512**2) == [[5, 1, 3, 0]]  # preset quality
    assert split_frames(frames, gpu, 2**22) == [[5, 1], [3, 0]]
    assert split_frames(frames, gpu, 2**30) == [[5], [1], [3], [0]]


@pytest.fixture
def two_threads():
    """Let torch use two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("is_parallel", [False, True])
def test_a_check_that_raises_begins_no_further_item(two_threads, monkeypatch, is_parallel):
    """Two threads may have begun one item each, and one more each before the check."""

    def choices():
        while True:
            yield is_parallel

    monkeypatch.setattr(module, "parallel_choices", choices)
    begun, is_released = [], threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if is_parallel and item > 0:
            is_released.wait(60)
        return item

    def check() -> None:
        if len(begun) >= 1:
            is_released.set()
            raise Interrupted

    with pytest.raises(Interrupted), frame_pool(torch.device("cpu")) as map_frames:
        map_frames(work, range(100), check)
    assert 1 <= len(begun) < 100
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("is_parallel", [False, True])
def test_results_are_in_the_order_of_the_items_and_operations_have_one_thread(
    two_threads, monkeypatch, is_parallel
):
    def choices():
        while True:
            yield is_parallel

    monkeypatch.setattr(module, "parallel_choices", choices)
    threads = set()

    def work(item: int) -> tuple[int, int]:
        threads.add(threading.get_ident())
        return 2 * item, torch.get_num_threads()

    with frame_pool(torch.device("cpu")) as map_frames:
        for _ in range(5):
            assert map_frames(work, range(4)) == [(0, 1), (2, 1), (4, 1), (6, 1)]
    assert (threading.get_ident() not in threads) == is_parallel
    assert torch.get_num_threads() == 2
