"""A run with models of the published sizes on a CPU, with random float16 weights, and its peak memory.

    python3 tasks.py bench full_size

Writes Zero123++ and Zero123-XL with random weights (7 GB, once), and a toy video of two frames, and runs
``stag4d run`` with two diffusion steps and two steps of a fit with guidance. Fails above the memory limit.
The images mean nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from stag4d.export import to_pil_image
from stag4d.toys import toy_seed, toy_views

from ._published_layouts import IMAGE_SIZE, write_guidance, write_multiview

_START = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_maxrss], file)
"""
_BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss


def main() -> None:
    """Write the models if they do not exist, run the command, and print its time and memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "stag4d_full_size",
        help="models and results, which stay (default: %(default)s)",
    )
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="diffusion steps (default: %(default)s)")
    parser.add_argument("--fit-steps", type=int, default=2)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--limit", type=float, default=10.0, help="memory, GB (default: %(default)s)")
    options = parser.parse_args()
    multiview, guidance = options.folder / "zero123plus", options.folder / "zero123-xl"
    write_multiview(multiview)
    write_guidance(guidance)
    video = options.folder / "video"
    shutil.rmtree(video, ignore_errors=True)
    _write_video(video, options.frames)
    command = [sys.executable, "-m", "stag4d", "run", str(video), "-o", str(options.folder / "out")]
    command += ["--multiview-model", str(multiview), "--guidance-model", str(guidance), "--rig", "v1.1"]
    command += ["--frames", str(options.frames), "--view-steps", str(options.steps), "--preset", "fast"]
    command += ["--steps", str(options.fit_steps), "--dtype", options.dtype, "--yes"]
    seconds, gigabytes, status = measured(command)
    print(json.dumps({"seconds": round(seconds), "peak_gb": round(gigabytes, 2), "status": status}))
    if status or gigabytes > options.limit:
        raise SystemExit(f"status {status}, {gigabytes:.2f} GB; expected 0, at most {options.limit:g} GB.")


def measured(command: list[str]) -> tuple[float, float, int]:
    """Run a command; returns its seconds, the peak of its resident memory in GB, and its exit status.

    A small process starts it: the peak of a process begins with the memory of the one that starts it.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", _START, str(result), *command], check=True)
        seconds = time.perf_counter() - began
        status, peak = json.loads(result.read_text(encoding="utf-8"))
    return seconds, peak * _BYTES_OF_MAXRSS / 1e9, status


def _write_video(folder: Path, num_frames: int) -> None:
    """Write the frames of a toy with alpha, as a folder of images."""
    folder.mkdir(parents=True)
    toy = toy_views(toy_seed("val", 0), num_frames, IMAGE_SIZE)
    for frame, (image, alpha) in enumerate(zip(toy.images, toy.alphas, strict=True)):
        to_pil_image(torch.cat([image, alpha[..., None]], dim=-1)).save(folder / f"{frame:04d}.png")


if __name__ == "__main__":
    main()
