"""The parent of the process that reads damaged files: it notices crashes, hangs and wrong exceptions."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_SECONDS = 300.0  # for imports and the undamaged file
CASE_SECONDS = 10.0
MAX_FAILURES = 5  # of a reader; the cases after them are not run


@dataclass
class Report:
    """What happened to the cases of a reader.

    Attributes:
        failures: Texts that name seed and case.
        num_read: Cases that were read in spite of the damage.
        num_refused: Cases that were refused with a clear error.
        slowest: CPU seconds and number of the slowest case.
        grown_bytes: By how much the peak of the memory in use grew.
    """

    failures: list[str] = field(default_factory=list)
    num_read: int = 0
    num_refused: int = 0
    slowest: tuple[float, int] = (0.0, -1)
    grown_bytes: int = 0


class FuzzWorker:
    """A worker process that is started when it is needed, again after a crash."""

    def __init__(self, log: Path, case_seconds: float = CASE_SECONDS) -> None:
        self._log, self._case_seconds = log, case_seconds
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def run(self, reader: str, seed: int, num_cases: int, folder: Path) -> Report:
        """Return the report on that many cases; the folder keeps the file of the last one."""
        report, first = Report(), 0
        while first < num_cases and len(report.failures) < MAX_FAILURES:
            place = folder / f"{reader} from {first}"
            place.mkdir(parents=True)
            order = {"reader": reader, "seed": seed, "first": first, "end": num_cases, "folder": str(place)}
            first = self._run(order, report)
        return report

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                pipe.close()
            self._process = None

    def _run(self, order: dict[str, Any], report: Report) -> int:
        """Run cases until they end or the process does; returns the first one that is left."""
        process = self._started()
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        case, where, peak = order["first"], f"{order['reader']}, seed {order['seed']}", 0
        limit = START_SECONDS
        while len(report.failures) < MAX_FAILURES:
            message = self._next(limit)
            limit = self._case_seconds
            if isinstance(message, str):
                report.failures.append(f"{where}, case {case}: {message}; the file is in {order['folder']}")
                self.close()
                return case + 1
            case = message.get("begin", case)
            if "ready" in message:
                peak = message["peak"]
            elif "finished" in message:
                report.grown_bytes = max(report.grown_bytes, message["peak"] - peak)
                break
            elif "case" in message:
                report.slowest = max(report.slowest, (message["seconds"], case))
                report.num_read += message["result"] == "read"
                report.num_refused += message["result"] == "refused"
                if message["result"] not in ("read", "refused"):
                    report.failures.append(f"{where}, case {case}: {message['result']}")
        else:
            self.close()  # it is still at work
        return order["end"]

    def _next(self, seconds: float) -> dict[str, Any] | str:
        """Return the next message of the process, or how it ended."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return f"no result after {seconds:g} seconds"
        if line:
            return json.loads(line)
        status = self._process.wait()
        return f"the process ended with status {status}:\n{self._log.read_text(errors='replace')[-3000:]}"

    def _started(self) -> subprocess.Popen[str]:
        """Return the process, started if necessary."""
        if self._process is None:
            paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
            with self._log.open("w") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-X", "faulthandler", "-m", "fuzz_worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    cwd=ROOT,
                    env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
                )
            self._lines = queue.Queue()
            threading.Thread(target=_pass_on, args=(self._process.stdout, self._lines), daemon=True).start()
        return self._process


def _pass_on(stream: Any, lines: queue.Queue[str]) -> None:
    """Put the lines of a stream into a queue, and an empty text at its end."""
    for line in stream:
        lines.put(line)
    lines.put("")
