"""HostMonitor: the progress bar over several stages, previews at intervals, and cancel."""

import sys

import pytest


@pytest.fixture
def progress(pack_module):
    return pack_module("nodes.host.progress")


@pytest.fixture
def clock(pack_module, monkeypatch):
    """The time in seconds that the monitors see, in a list of one."""
    now = [100.0]
    monkeypatch.setattr(pack_module("stag4d.resume").time, "monotonic", lambda: now[0])
    return now


def test_stages_follow_each_other_on_one_bar(progress, progress_bar):
    monitor = progress.HostMonitor(encode=2, denoise=6, decode=2)
    for stage, total in (("encode", 2), ("denoise", 3), ("decode", 2)):
        for done in range(1, total + 1):
            monitor(stage, done, total)
    assert progress_bar.reported == [(value, 10) for value in (1, 2, 4, 6, 8, 9, 10)]


def test_long_work_sends_at_most_200_updates(progress, progress_bar):
    monitor = progress.HostMonitor(optimize=5000)
    for step in range(1, 5001):
        monitor("optimize", step, 5000)
    assert progress_bar.reported == [(step, 5000) for step in range(25, 5001, 25)]


def test_resumed_work_starts_where_it_is(progress, progress_bar):
    progress.HostMonitor(optimize=5000)("optimize", 3001, 5000)
    assert progress_bar.reported == [(3001, 5000)]


def test_previews_are_made_at_intervals_that_begin_after_the_previous_one(progress, progress_bar, clock):
    made, images = [], iter("abc")

    def preview():
        made.append(clock[0])
        clock[0] += 7  # it takes longer than the interval
        return next(images)

    monitor = progress.HostMonitor(str.upper, preview_seconds=2.0, preview_size=64, optimize=100)
    for step, seconds in enumerate((1.9, 0.2, 1.9, 0.2), start=1):
        clock[0] += seconds
        monitor("optimize", step, 100, preview=preview)
    assert made == pytest.approx([102.1, 111.2])
    assert progress_bar.previews == [("JPEG", "A", 64), ("JPEG", "B", 64)]
    assert [value for value, _ in progress_bar.reported] == [1, 2, 3, 4]


@pytest.mark.usefixtures("previews_always_due")
def test_a_preview_without_an_image_only_moves_the_bar(progress, progress_bar):
    monitor = progress.HostMonitor(lambda preview: None, render=2)
    monitor("render", 1, 2, preview=object)
    assert (progress_bar.reported, progress_bar.previews) == ([(1, 2)], [])


def test_previews_that_nobody_shows_are_not_made(progress, clock):
    monitor = progress.HostMonitor(render=2)
    clock[0] += 60
    monitor("render", 1, 2, preview=lambda: pytest.fail("it was made"))


def test_cancel_is_an_interrupt_of_the_package_and_of_the_host(progress, pack_module, interrupt, cancel_at):
    cancel_at(2)
    monitor = progress.HostMonitor(render=3)
    monitor("render", 1, 3)
    assert not monitor.is_cancelled
    with pytest.raises(pack_module("stag4d.progress").Interrupted) as error:
        monitor("render", 2, 3)
    assert isinstance(error.value, interrupt)
    assert monitor.is_cancelled


def test_cancel_raised_by_the_progress_bar_is_the_same(progress, progress_bar, interrupt, monkeypatch):
    def update(bar, *arguments):  # as the host's, which checks for a cancel itself
        raise interrupt

    monkeypatch.setattr(progress_bar, "update_absolute", update)
    monitor = progress.HostMonitor(render=3)
    with pytest.raises(progress.HostInterrupted):
        monitor("render", 1, 3)
    assert monitor.is_cancelled


@pytest.mark.usefixtures("previews_always_due")
def test_cancel_while_a_preview_is_made_is_the_same(progress, cancel_at):
    def show(preview):
        sys.modules["comfy.model_management"].interrupt_current_processing()
        progress.check_cancel("export", 1, 5)

    cancel_at(0)
    monitor = progress.HostMonitor(show, render=3)
    with pytest.raises(progress.HostInterrupted):
        monitor("render", 1, 3, preview=object)
    assert monitor.is_cancelled


def test_monitor_without_a_bar_only_checks_for_cancel(progress, progress_bar, cancel_at):
    progress_bar.reported = []
    cancel_at(2)
    progress.check_cancel("export", 1, 5)
    with pytest.raises(progress.HostInterrupted):
        progress.check_cancel("export", 2, 5)
    assert progress_bar.reported == []


def test_passes_over_a_video_follow_each_other_on_one_bar(progress, progress_bar):
    monitor = progress.ReadMonitor()
    for done in range(1, 5):
        monitor("read", done, 4)
    monitor.begin_frames()
    for done in range(1, 3):
        monitor("read", done, 2)
    assert progress_bar.reported == [(value, 200) for value in (25, 50, 75, 100, 150, 200)]
