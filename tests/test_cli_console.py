"""The terminal side of the commands: progress bars, Ctrl-C, option values that start with a minus."""

from __future__ import annotations

import os
import re
import signal

import pytest
from ctrl_c import CtrlCMonitor
from tqdm import tqdm

from stag4d.cli.console import ConsoleMonitor, join_negative_values
from stag4d.progress import Interrupted


def bars_of(text: str) -> list[str]:
    """Return the final state of each progress bar that was shown, without its speed."""
    lines = [line.split("\r")[-1] for line in text.split("\n")]
    return [match[0] for line in lines if (match := re.search(r"\w+: +\d+%.* \d+/\d+ ", line))]


def test_each_stage_has_its_own_bar_with_its_unit_and_note(capsys):
    with ConsoleMonitor() as monitor:
        for done in (1, 2, 3):
            monitor("encode", done, 3)
        for done in (1, 2):
            monitor("optimize", done, 2, note=f"loss={done}")
    error = capsys.readouterr().err
    bars = [re.sub(r"\|.*\|", "", bar) for bar in bars_of(error)]
    assert bars == ["encode: 100% 3/3 ", "optimize: 100% 2/2 "]
    assert re.search(r"encode.*frame/s", error)
    assert re.search(r"optimize.*step/s, loss=2\]", error)


def test_rates_are_those_of_whole_units_from_the_first_on(capsys, monkeypatch):
    """A unit takes 10 s, with a call of the monitor in the middle: 0.1 units a second, not 0.2."""
    now = [1000.0]
    made = []

    class Bar(tqdm):
        def __init__(self, **options):
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    monkeypatch.setattr("stag4d.cli.console.tqdm", Bar)
    monkeypatch.setattr("stag4d.cli.console._REDRAW_SECONDS", -1.0)
    with ConsoleMonitor() as monitor:
        monitor("denoise", 0, 4)
        assert "0/4" in capsys.readouterr().err  # a bar before the first unit
        for done in (1, 2, 3):
            now[0] += 5
            monitor("denoise", done - 1, 4)
            assert f"{done - 1}/4" in capsys.readouterr().err  # which moves on within it
            now[0] += 5
            monitor("denoise", done, 4)
            assert made[0].format_dict["rate"] == pytest.approx(0.1)


def test_a_stage_that_runs_again_gets_a_new_bar(capsys):
    with ConsoleMonitor() as monitor:
        for total in (2, 3):
            for done in range(1, total + 1):
                monitor("render", done, total)
    assert [bar[-4:] for bar in bars_of(capsys.readouterr().err)] == ["2/2 ", "3/3 "]


def test_the_bar_of_a_resumed_stage_starts_where_the_stage_does(capsys, monkeypatch):
    made = []

    def recorded(**options):
        made.append(tqdm(**options))
        return made[-1]

    monkeypatch.setattr("stag4d.cli.console.tqdm", recorded)
    with ConsoleMonitor() as monitor:
        monitor("denoise", 48, 64)
        assert (made[0].initial, made[0].n) == (48, 48)  # so its rate is that of the new units alone
        monitor("denoise", 56, 64)
        assert made[0].n == 56
    assert "48/64" in capsys.readouterr().err
    assert made[0].disable  # closed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_the_first_ctrl_c_interrupts_at_the_next_call(capsys, number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted), ConsoleMonitor() as monitor:
        monitor("optimize", 1, 9)
        signal.raise_signal(number)
        assert "press Ctrl-C again to stop at once" in capsys.readouterr().err
        monitor("optimize", 2, 9)
    assert "2/9" in capsys.readouterr().err  # the step was done, so it is shown
    assert signal.getsignal(number) is before


def test_every_call_after_ctrl_c_is_interrupted():
    with ConsoleMonitor() as monitor:
        signal.raise_signal(signal.SIGINT)
        for stage in ("optimize", "render"):
            with pytest.raises(Interrupted):
                monitor(stage, 1, 9)


def test_the_handler_does_not_use_the_buffer_of_stderr(tmp_path, monkeypatch):
    """It may interrupt a write to that buffer, which cannot be entered twice."""
    with (tmp_path / "stderr").open("w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr(ConsoleMonitor, "_close_bar", lambda self: None)
        with ConsoleMonitor():
            signal.raise_signal(signal.SIGINT)
            assert "interrupting; press Ctrl-C again" in (tmp_path / "stderr").read_text()


def test_work_goes_on_when_nobody_reads_stderr(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", buffering=1)
    monkeypatch.setattr("sys.stderr", stream)
    with ConsoleMonitor() as monitor:
        for done in range(1, 4):
            monitor("optimize", done, 3, note="loss")
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            monitor("render", 1, 2)
    monkeypatch.undo()
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_the_second_ctrl_c_stops_at_once():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), ConsoleMonitor():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_closes_the_bar_and_restores_the_signal_handler(capsys):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="diverged"), ConsoleMonitor() as monitor:
        monitor("optimize", 1, 9)
        raise RuntimeError("diverged")
    assert capsys.readouterr().err.endswith("\n")  # so that the error message starts on a line of its own
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_during_the_last_unit_interrupts():
    with pytest.raises(Interrupted), CtrlCMonitor() as monitor:
        monitor("optimize", 10, 10)


def test_a_value_with_a_minus_is_joined_to_its_option():
    words = [
        "render",
        "-5",
        "--views",
        "-75,0",
        "-o",
        "-1",
        "--frames",
        "-.5",
        "--resume=1",
        "-2",
        "--",
        "-3",
    ]
    assert join_negative_values(words) == [
        "render",
        "-5",
        "--views=-75,0",
        "-o",
        "-1",
        "--frames=-.5",
        "--resume=1",
        "-2",
        "--",
        "-3",
    ]
