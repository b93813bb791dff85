"""What do threads that wait for each other cost, spinning and sleeping, alone and beside other processes?

    python3 tasks.py bench waiting_threads [--busy-loops 0 4] [--threads 2] [--rounds 3]

Processes with OpenMP's default and with ``OMP_WAIT_POLICY=PASSIVE`` alternate. Each times a turntable with
one and with several threads in torch's operations, and an optimization step of preset ``fast`` with its
frames on one thread, in parallel, and one after the other with several threads in torch's operations; all of
it alone, then beside processes that keep a core busy. Prints medians over the rounds, the median and range of
the rounds' ratios of default to ``PASSIVE``, and the ratio to one thread with both policies. Takes less than
five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

from stag4d.optimization import Trainer, preset
from stag4d.pipeline import write_turntable
from stag4d.toys import toy_seed, toy_views

POLICIES = ("default", "PASSIVE")
HEADER = """\
| busy loops | what | default, s | PASSIVE, s | default / PASSIVE | default / one thread | same, PASSIVE |
|---|---|---|---|---|---|---|"""
TURNTABLE_SIZE = 256
MOVING = 0.4  # of the steps, after which the frames are deformed
BUSY_LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"  # ends with its parent

Seconds = dict[str, float]  # by the name of the timed function


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table of all measurements; with ``--measure``, those of this process as JSON."""
    options = _options(argv)
    if options.measure:
        print(json.dumps(measure(options)))
        return
    rounds: dict[str, list[list[Seconds]]] = {policy: [] for policy in POLICIES}  # [round][busy loops]
    for index in range(options.rounds):
        for policy in POLICIES if index % 2 == 0 else reversed(POLICIES):
            rounds[policy].append(_measure_in_process(policy, options))
    print(f"{options.threads} threads, {os.cpu_count()} cores, {options.rounds} rounds")
    print(HEADER)
    for index, count in enumerate(options.busy_loops):
        spinning, sleeping = ([found[index] for found in rounds[policy]] for policy in POLICIES)
        print("\n".join(table_rows(count, spinning, sleeping)))


def table_rows(num_busy_loops: int, spinning: list[Seconds], sleeping: list[Seconds]) -> Iterator[str]:
    """Yield a row for each of the timed functions.

    Args:
        num_busy_loops: Processes that ran beside them.
        spinning: Of each round, seconds with OpenMP's default by name, ``WHAT, HOW``. The first of each WHAT
            is on one thread.
        sleeping: The same with ``PASSIVE``.
    """
    one_thread: dict[str, list[float]] = {}
    for name in spinning[0]:
        medians = [statistics.median(found[name] for found in runs) for runs in (spinning, sleeping)]
        ratios = [first[name] / second[name] for first, second in zip(spinning, sleeping, strict=True)]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        base = one_thread.setdefault(name.split(",")[0], medians)
        relative = " | ".join(f"{median / of:.2f}" for median, of in zip(medians, base, strict=True))
        seconds = " | ".join(f"{median:.3f}" for median in medians)
        yield f"| {num_busy_loops} | {name} | {seconds} | {ratio} | {relative} |"


def measure(options: argparse.Namespace) -> list[Seconds]:
    """Return the median seconds of each timed function, for each number of busy loops."""
    torch.set_num_threads(1)
    config = preset("fast", size=options.size)
    trainer = Trainer(toy_views(toy_seed("val", 0), options.frames, options.size), config)
    trainer.step = round(MOVING * config.steps)
    found = []
    with ThreadPoolExecutor(options.threads) as pool, tempfile.TemporaryDirectory() as folder:
        tasks = _tasks(trainer, pool, Path(folder, "turntable.mp4"), options)
        for _, num_threads, task in tasks:  # compile kernels, start threads
            torch.set_num_threads(num_threads)
            task()
        for count in options.busy_loops:
            with _busy_loops(count):
                seconds = {}
                for name, num_threads, task in tasks:
                    torch.set_num_threads(num_threads)
                    seconds[name] = _median_seconds(task, options.repeats, options.limit)
                found.append(seconds)
    return found


def _tasks(
    trainer: Trainer, pool: ThreadPoolExecutor, path: Path, options: argparse.Namespace
) -> list[tuple[str, int, Callable[[], object]]]:
    """Return the functions to time, each with its name and its number of threads in torch's operations."""
    model = trainer.model()

    def turntable() -> None:
        write_turntable(path, model, TURNTABLE_SIZE, num_frames=options.frames)

    def step() -> object:
        return trainer._advance(lambda function, items, check=None: [function(item) for item in items])

    def parallel_step() -> object:
        return trainer._advance(lambda function, items, check=None: list(pool.map(function, items)))

    return [
        ("turntable, one thread", 1, turntable),
        ("turntable, threads in operations", options.threads, turntable),
        ("step, one thread", 1, step),
        ("step, parallel frames", 1, parallel_step),
        ("step, threads in operations", options.threads, step),
    ]


def _median_seconds(task: Callable[[], object], repeats: int, limit: float) -> float:
    """Return the median seconds of a number of calls, fewer if they take longer than ``limit`` together."""
    seconds: list[float] = []
    while len(seconds) < repeats and sum(seconds) < limit:
        began = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


@contextmanager
def _busy_loops(count: int) -> Iterator[None]:
    """Run a number of processes that do nothing but use a core each."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _measure_in_process(policy: str, options: argparse.Namespace) -> list[Seconds]:
    """Return what ``measure`` returns in a process whose waiting threads follow a policy."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))
    }
    if policy != "default":
        environment["OMP_WAIT_POLICY"] = policy
    command = [sys.executable, "-m", "benchmarks.waiting_threads", "--measure"]
    for name in ("threads", "repeats", "limit", "frames", "size"):
        command += [f"--{name}", str(getattr(options, name))]
    command += ["--busy-loops", *map(str, options.busy_loops)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=environment, cwd=root, stdout=subprocess.PIPE, check=True)
    found: list[Seconds] = json.loads(done.stdout.splitlines()[-1])
    return found


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults: Iterable[tuple[str, type, float, str]] = (
        ("threads", int, os.cpu_count() or 2, "of the operations, and for parallel frames"),
        ("rounds", int, 3, "processes of each policy"),
        ("repeats", int, 10, "calls of each function in a process"),
        ("limit", float, 3.0, "seconds for the calls of a function in a process"),
        ("frames", int, 16, "frames of the scene, images of the turntable"),
        ("size", int, 128, "pixels of the views; the turntable has 256"),
    )
    for name, kind, value, text in defaults:
        parser.add_argument(f"--{name}", type=kind, default=value, help=f"{text} (default: %(default)s)")
    parser.add_argument("--busy-loops", type=int, nargs="+", default=[0, 4], help="(default: %(default)s)")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
