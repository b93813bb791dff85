"""Damaged files: every reader gives a valid result or a clear error, quickly and with little memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from random import Random

import pytest
from fuzz_mutations import mutate
from fuzz_readers import READERS
from fuzzing import FuzzWorker

SEED, NUM_CASES, NUM_SLOW_CASES = 1, 300, 10_000


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzWorker]:
    """One process for all readers, so that torch and diffusers are imported once."""
    worker = FuzzWorker(tmp_path_factory.mktemp("fuzz") / "stderr")
    yield worker
    worker.close()


@pytest.mark.parametrize("reader", READERS)
def test_damaged_files_are_read_or_refused_with_a_clear_error(worker, tmp_path, reader):
    num_cases = NUM_CASES // READERS[reader].slowness
    report = worker.run(reader, SEED, num_cases, tmp_path)
    assert not report.failures, "\n\n".join(report.failures)
    assert report.num_read + report.num_refused == num_cases
    assert report.grown_bytes < 500 * 10**6
    assert report.num_refused > num_cases / 20  # or the damage was not put to the test


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_many_damaged_files_are_read_or_refused_with_a_clear_error(worker, tmp_path, reader):
    report = worker.run(reader, SEED + 1, NUM_SLOW_CASES // READERS[reader].slowness, tmp_path)
    assert not report.failures, "\n\n".join(report.failures)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("crash", "the process ended with status -"),
        ("leave_python", "the process ended with status 3"),
        ("hang", "no result after 0.5 seconds"),
        ("confuse", "IndexError: list index out of range"),
        ("nest", "RecursionError"),
        ("name_nothing", "names no file"),
        pytest.param(
            "take_memory",
            "MemoryError",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of memory"),
        ),
    ],
)
def test_faults_of_a_reader_are_noticed_and_name_seed_and_case(tmp_path, fault, message):
    worker = FuzzWorker(tmp_path / "stderr", case_seconds=0.5)
    try:
        report = worker.run(f"faulty: {fault}", 7, 2, tmp_path)
    finally:
        worker.close()
    assert len(report.failures) == 2
    for case, failure in enumerate(report.failures):
        assert failure.startswith(f"faulty: {fault}, seed 7, case {case}: ")
        assert message in failure


def test_clear_errors_are_counted_as_refusals(tmp_path):
    worker = FuzzWorker(tmp_path / "stderr")
    try:
        report = worker.run("faulty: refuse", 7, 20, tmp_path)
    finally:
        worker.close()
    assert report.failures == []
    assert report.num_refused == 20


def test_cases_are_repeatable_and_differ():
    content = b'{"a": [1, 2.5, {"b": "text"}], "c": null}'
    first = [mutate(content, Random(f"1 {case}")) for case in range(200)]
    assert first == [mutate(content, Random(f"1 {case}")) for case in range(200)]
    assert len(set(first)) > 150
