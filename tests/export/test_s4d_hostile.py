"""Malformed ``.s4d`` files: both readers reject them with a message, quickly, and without much memory."""

from __future__ import annotations

import json
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from needed import program

from stag4d.export import encode_s4d, read_s4d
from stag4d.scene import GaussianModel4D

ROOT = Path(__file__).parents[2]
Change = Callable[[dict], object]


def split(s4d: bytes) -> tuple[dict, bytes]:
    """Return the header and the compressed rows of a file."""
    length = int(np.frombuffer(s4d, "<u4", count=1, offset=8)[0])
    return json.loads(s4d[12 : 12 + length]), s4d[12 + length :]


def join(header: object, rows: bytes, version: int = 1) -> bytes:
    """Return a file with the given header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return b"S4DC" + np.array([version, len(text)], "<u4").tobytes() + text + rows


def gzip(content: bytes) -> bytes:
    """Return one gzip member."""
    deflate = zlib.compressobj(wbits=31)
    return deflate.compress(content) + deflate.flush()


def means(key: str, value: object) -> Change:
    """Return a change of the means in the header."""
    return lambda header: header["attributes"]["means"].update({key: value})


HEADERS: dict[str, Change] = {
    "no count": lambda header: header.pop("num_gaussians"),
    "count 0": lambda header: header.update(num_gaussians=0),
    "count below 0": lambda header: header.update(num_gaussians=-1),
    "fractional count": lambda header: header.update(num_gaussians=1.5),
    "count true": lambda header: header.update(num_gaussians=True),
    "count a string": lambda header: header.update(num_gaussians="50"),
    "one Gaussian more": lambda header: header.update(num_gaussians=header["num_gaussians"] + 1),
    "one Gaussian less": lambda header: header.update(num_gaussians=header["num_gaussians"] - 1),
    "too many Gaussians": lambda header: header.update(num_gaussians=2**22 + 1),
    "one frame more": lambda header: header.update(num_frames=header["num_frames"] + 1),
    "too many frames": lambda header: header.update(num_frames=2**16 + 1, num_gaussians=1),
    "too many in all": lambda header: header.update(num_frames=1000, num_gaussians=2**22),
    "count 1e300": lambda header: header.update(num_gaussians=10**300),
    "fps 0": lambda header: header.update(fps=0),
    "fps infinite": lambda header: header.update(fps=float("inf")),
    "fps not a number": lambda header: header.update(fps=float("nan")),
    "no input": lambda header: header.pop("input"),
    "input elevation -120": lambda header: header["input"].update(elevation=-120),
    "radius 0": lambda header: header["input"].update(radius=0),
    "fovy 0": lambda header: header["input"].update(fovy=0),
    "views a number": lambda header: header.update(views=6),
    "views of numbers": lambda header: header.update(views=[1, 2]),
    "too many views": lambda header: header.update(views=[header["input"]] * 65),
    "no attributes": lambda header: header.pop("attributes"),
    "attributes a list": lambda header: header.update(attributes=[]),
    "no means": lambda header: header["attributes"].pop("means"),
    "means null": lambda header: header["attributes"].update(means=None),
    "per_frame a number": means("per_frame", 1),
    "means static": means("per_frame", False),
    "colors per frame": lambda header: header["attributes"]["colors"].update(per_frame=True),
    "low too short": means("low", [0.0, 0.0]),
    "low too long": means("low", [0.0] * 4),
    "low a string": means("low", "low"),
    "low too large": means("low", [1e300, 0.0, 0.0]),
    "step 0": means("step", [0.0, 1.0, 1.0]),
    "step below 0": means("step", [-1.0, 1.0, 1.0]),
    "step null": means("step", [None, 1.0, 1.0]),
}


@pytest.fixture
def s4d(swaying_scene: GaussianModel4D) -> bytes:
    """A file of 50 Gaussians at 5 frames, with all attributes per frame that may be."""
    return encode_s4d(swaying_scene)


def malformed_files(s4d: bytes) -> dict[str, bytes]:
    """Return files that no reader may accept, by their defect."""
    header, rows = split(s4d)
    content = zlib.decompress(rows, wbits=31)
    colored = json.loads(json.dumps(header))
    colored["attributes"]["colors"]["per_frame"] = True
    files = {
        "nothing": b"",
        "magic alone": s4d[:4],
        "truncated prelude": s4d[:11],
        "a PNG": b"\x89PNG\r\n\x1a\n" + s4d[8:],
        "version 0": join(header, rows, version=0),
        "a later version": join(header, rows, version=3),
        "version 2, interpolate a number": join(header | {"interpolate": 0}, rows, version=2),
        "version 2, colors per frame without rows": join(colored, rows, version=2),
        "header of 4 GB": s4d[:8] + b"\xff\xff\xff\xff" + s4d[12:],
        "header beyond the end": s4d[:8] + b"\xf0\xff\x00\x00" + s4d[12:],
        "header too long": join(json.dumps(header).encode() + b" " * 2**16, rows),
        "header not JSON": join(b"{", rows),
        "header not UTF-8": join(b"\xff\xfe", rows),
        "header a list": join([header], rows),
        "header deeply nested": join(b"[" * 60_000 + b"]" * 5_000, rows),
        "no rows": join(header, b""),
        "rows truncated": s4d[:-30],
        "rows without their end": s4d[:-1],
        "byte after the rows": s4d + b"\0",
        "rows twice": s4d + rows,
        "rows not compressed": join(header, content),
        "rows as zlib": join(header, zlib.compress(content)),
        "last row truncated": join(header, gzip(content[:-1])),
        "last row missing": join(header, gzip(content[:-101])),
        "a row more": join(header, gzip(content + content[:101])),
        "unknown filter": join(header, gzip(b"\x06" + content[1:])),
        "filter 255": join(header, gzip(b"\xff" + content[1:])),
        "wrong checksum": s4d[:-8] + bytes([s4d[-8] ^ 1]) + s4d[-7:],
        "quaternion index too large": join(
            header, gzip(content[: 15 * 101] + b"\0\x08" + content[15 * 101 + 2 :])
        ),
        "bomb": join(header, gzip(content + bytes(2**27))),
        "bomb in place of the rows": join(header, gzip(bytes(2**27))),
    }
    for name, change in HEADERS.items():
        changed = json.loads(json.dumps(header))
        change(changed)
        files[f"header: {name}"] = join(changed, rows)
    return files


def test_malformed_files_are_rejected_with_a_message(s4d):
    for name, content in malformed_files(s4d).items():
        with pytest.raises(ValueError, match=r"^s4d: .*[.]$"):
            read_s4d(content)
            pytest.fail(f"{name!r} was accepted")


def test_memory_is_bounded_by_the_header(s4d):
    files = malformed_files(s4d)
    for name in (
        "bomb",
        "bomb in place of the rows",
        "header deeply nested",
        "header: count 1e300",
        "header: too many in all",
    ):
        tracemalloc.start()
        with pytest.raises(ValueError, match=r"^s4d: "):
            read_s4d(files[name])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**22, name


def test_changed_bytes_are_read_or_rejected_with_a_message(s4d):
    """Each byte is changed in turn; where no check covers it, the file is read."""
    for position in range(len(s4d)):
        damaged = bytearray(s4d)
        damaged[position] ^= (1, 0x20, 0x80, 0xFF)[position % 4]
        try:
            read_s4d(bytes(damaged)).at(2)
        except ValueError as error:
            assert str(error).startswith("s4d: ")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_missing_doubled_or_replaced_bytes_are_read_or_rejected_with_a_message(s4d, data):
    begin = data.draw(st.integers(0, len(s4d)))
    end = data.draw(st.integers(begin, len(s4d)))
    damaged = s4d[:begin] + data.draw(st.binary(max_size=64) | st.just(s4d[begin:end] * 2)) + s4d[end:]
    try:
        read_s4d(damaged)
    except ValueError as error:
        assert str(error).startswith("s4d: ")


def test_viewer_rejects_the_same_files(s4d, tmp_path):
    files = malformed_files(s4d)
    del files["byte after the rows"]  # accepted by the decompressor of Node, not by those of browsers
    for index, content in enumerate(files.values()):
        (tmp_path / f"{index}.s4d").write_bytes(content)
    (tmp_path / "valid.s4d").write_bytes(s4d)
    script, viewer = ROOT / "tests" / "web" / "read_s4d_files.mjs", ROOT / "web" / "viewer"
    command = [program("node"), str(script), str(viewer), str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    found = json.loads(process.stdout)
    assert found["verdicts"].pop("valid.s4d") is None
    for index, name in enumerate(files):
        verdict = found["verdicts"][f"{index}.s4d"]
        assert verdict is not None, f"{name!r} was accepted"
        assert verdict.startswith("ViewerError: This "), (name, verdict)
        assert verdict.endswith("."), (name, verdict)
    assert found["memory"] < 100 * 2**20
