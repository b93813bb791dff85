"""Changed PLY, SPZ, .4dgs, .s4d and .pth files: read, or refused by name, with little memory and no crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CASES = 60  # per file
SCRIPT = """
import logging, random, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from seed_files import read_seed, seed_files
logging.disable(logging.CRITICAL)
folder, cases = Path(sys.argv[2]), int(sys.argv[3])
seeds = seed_files(folder)
for name, seed in seeds.items():  # imports what the readers need
    (folder / name).write_bytes(seed)
    read_seed(folder / name)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 500 * 2**20,) * 2)
for name, seed in seeds.items():
    for case in range(cases):
        generator = random.Random(case)
        content = bytearray(seed)
        for _ in range(generator.choice((1, 1, 2, 5))):
            at = generator.randrange(min(len(content), generator.choice((64, 1024, len(content)))))
            change = generator.choice((b"", b"\\0", b"\\xff" * 4, b"-1", b"99999999999", content[:16]))
            content[at : at + generator.choice((0, 1, 4, 16))] = change
        path = folder / name
        path.write_bytes(content[: generator.choice((len(content), len(content), len(content) // 2))])
        print(name, case, file=sys.stderr, flush=True)
        try:
            read_seed(path)
        except (ValueError, RuntimeError) as error:
            if name not in str(error):
                raise SystemExit(f"does not name the file: {error}")
print(len(seeds), "files")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is limited as on Linux")
def test_changed_files_are_read_or_refused_by_name(tmp_path):
    support = Path(__file__).parents[1] / "support"
    command = [sys.executable, "-X", "faulthandler", "-c", SCRIPT, str(support), str(tmp_path), str(CASES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[0]) >= 6  # those that need no package
