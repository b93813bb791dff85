"""The process that reads damaged files: a line per case tells the parent what happened, or at which it ended.

    python -m fuzz_worker READER SEED CASE FOLDER

reads one case, for example one that a test has named, and shows its traceback.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from fuzz_mutations import mutate
from fuzz_readers import FAULTY, READERS, Reader

MEMORY_BYTES = 512 * 1024**2  # beyond what the process has when a reader has read its undamaged file
_READERS = READERS | FAULTY
_REFUSALS = (ValueError, RuntimeError, FileNotFoundError)
_BUGS = (RecursionError, NotImplementedError, UnicodeError)  # of these classes, but no clear errors


class Cases:
    """The damaged files of a reader, in a folder that is made for it.

    Args:
        reader: The reader.
        seed: Seed of all cases.
        folder: An empty folder.
    """

    def __init__(self, reader: Reader, seed: int, folder: Path) -> None:
        self.reader, self.seed = reader, seed
        self._source = reader.make(folder)
        found = self._source.rglob(reader.pattern) if self._source.is_dir() else [self._source]
        self._contents = {path: path.read_bytes() for path in found if path.is_file()}
        self._damaged: Path | None = None
        reader.read(self._source)  # it can be read, and everything that reading needs is imported

    def damage(self, case: int) -> Path:
        """Damage one file, and repair that of the case before; returns it."""
        if self._damaged is not None:
            self._damaged.write_bytes(self._contents[self._damaged])
        rng = random.Random(f"{self.seed} {self.reader.name} {case}")
        self._damaged = rng.choice(sorted(self._contents))
        self._damaged.write_bytes(mutate(self._contents[self._damaged], rng))
        return self._damaged

    def read(self, damaged: Path) -> str:
        """Return ``read``, ``refused``, or the traceback of an exception that no reader may raise."""
        try:
            self.reader.read(self._source)
        except _REFUSALS as error:
            text = traceback.format_exc()
            if isinstance(error, _BUGS):
                return text
            names = (damaged.name, self.reader.subject or damaged.name)
            return "refused" if any(name in str(error) for name in names) else f"{text}\nnames no file"
        except Exception:  # noqa: BLE001 - it is what the test looks for
            return traceback.format_exc()
        return "read"


def limit_memory() -> None:
    """Limit the memory of this process to what it has and ``MEMORY_BYTES``, where the system can."""
    with contextlib.suppress(ImportError, OSError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, hard))


def free_memory_limit() -> None:
    """Remove the limit, for the imports of the next reader."""
    with contextlib.suppress(ImportError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def peak_bytes() -> int:
    """Return the largest memory in use so far, or 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def say(**message: Any) -> None:
    """Send a line to the parent, past everything that redirects standard output."""
    os.write(1, (json.dumps(message) + "\n").encode())


def serve() -> None:
    """Run the cases that the parent asks for, line by line."""
    for line in sys.stdin:
        order = json.loads(line)
        free_memory_limit()
        cases = Cases(_READERS[order["reader"]], order["seed"], Path(order["folder"]))
        limit_memory()
        say(ready=True, peak=peak_bytes())
        for case in range(order["first"], order["end"]):
            say(begin=case)
            damaged = cases.damage(case)
            began = time.process_time()
            result = cases.read(damaged)
            say(case=case, result=result, seconds=time.process_time() - began)
        say(finished=True, peak=peak_bytes())


def main() -> None:
    """Serve the parent, or read one case that the command line names."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    if len(sys.argv) == 1:
        serve()
        return
    name, seed, case, folder = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    cases = Cases(_READERS[name], int(seed), Path(folder))
    limit_memory()
    damaged = cases.damage(int(case))
    sys.stdout.write(f"{damaged}\n{cases.read(damaged)}\n")


if __name__ == "__main__":
    main()
