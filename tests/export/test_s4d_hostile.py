"""Files that are not what they say: both readers refuse them, in words, at once, and without much memory."""

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


def split(clip: bytes) -> tuple[dict, bytes]:
    """Return a clip's header and its compressed rows."""
    length = int(np.frombuffer(clip, "<u4", count=1, offset=8)[0])
    return json.loads(clip[12 : 12 + length]), clip[12 + length :]


def join(header: object, rows: bytes, version: int = 1) -> bytes:
    """Return a clip with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return b"S4DC" + np.array([version, len(text)], "<u4").tobytes() + text + rows


def gzip(content: bytes) -> bytes:
    """Return one gzip member."""
    deflate = zlib.compressobj(wbits=31)
    return deflate.compress(content) + deflate.flush()


def means(key: str, value: object) -> Change:
    """Return a change of what the header says of the means."""
    return lambda header: header["attributes"]["means"].update({key: value})


HEADERS: dict[str, Change] = {
    "no count": lambda header: header.pop("num_gaussians"),
    "count 0": lambda header: header.update(num_gaussians=0),
    "count below 0": lambda header: header.update(num_gaussians=-1),
    "half a Gaussian": lambda header: header.update(num_gaussians=1.5),
    "count true": lambda header: header.update(num_gaussians=True),
    "count in words": lambda header: header.update(num_gaussians="50"),
    "one Gaussian more": lambda header: header.update(num_gaussians=header["num_gaussians"] + 1),
    "one Gaussian less": lambda header: header.update(num_gaussians=header["num_gaussians"] - 1),
    "too many Gaussians": lambda header: header.update(num_gaussians=2**22 + 1),
    "one frame more": lambda header: header.update(num_frames=header["num_frames"] + 1),
    "too many frames": lambda header: header.update(num_frames=2**16 + 1, num_gaussians=1),
    "too many in all": lambda header: header.update(num_frames=1000, num_gaussians=2**22),
    "absurd count": lambda header: header.update(num_gaussians=10**300),
    "fps 0": lambda header: header.update(fps=0),
    "fps infinite": lambda header: header.update(fps=float("inf")),
    "fps not a number": lambda header: header.update(fps=float("nan")),
    "no input": lambda header: header.pop("input"),
    "input below the floor": lambda header: header["input"].update(elevation=-120),
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
    "means stand still": means("per_frame", False),
    "colors move": lambda header: header["attributes"]["colors"].update(per_frame=True),
    "low too short": means("low", [0.0, 0.0]),
    "low too long": means("low", [0.0] * 4),
    "low a word": means("low", "low"),
    "low too large": means("low", [1e300, 0.0, 0.0]),
    "step 0": means("step", [0.0, 1.0, 1.0]),
    "step below 0": means("step", [-1.0, 1.0, 1.0]),
    "step null": means("step", [None, 1.0, 1.0]),
}


@pytest.fixture
def clip(swaying_scene: GaussianModel4D) -> bytes:
    """A clip of 50 Gaussians at 5 frames, all of whose attributes move that can."""
    return encode_s4d(swaying_scene)


def hostile_files(clip: bytes) -> dict[str, bytes]:
    """Return files that no reader may accept, by what is wrong with them."""
    header, rows = split(clip)
    content = zlib.decompress(rows, wbits=31)
    files = {
        "nothing": b"",
        "magic alone": clip[:4],
        "half a prelude": clip[:11],
        "a picture": b"\x89PNG\r\n\x1a\n" + clip[8:],
        "version 0": join(header, rows, version=0),
        "a later version": join(header, rows, version=2),
        "header of 4 GB": clip[:8] + b"\xff\xff\xff\xff" + clip[12:],
        "header beyond the end": clip[:8] + b"\xf0\xff\x00\x00" + clip[12:],
        "header too long": join(json.dumps(header).encode() + b" " * 2**16, rows),
        "header no JSON": join(b"{", rows),
        "header no text": join(b"\xff\xfe", rows),
        "header a list": join([header], rows),
        "header deep": join(b"[" * 60_000 + b"]" * 5_000, rows),
        "no rows": join(header, b""),
        "rows cut": clip[:-30],
        "rows without their end": clip[:-1],
        "rows and more": clip + b"\0",
        "rows twice": clip + rows,
        "rows not compressed": join(header, content),
        "rows as zlib": join(header, zlib.compress(content)),
        "last row short": join(header, gzip(content[:-1])),
        "last row missing": join(header, gzip(content[:-101])),
        "a row more": join(header, gzip(content + content[:101])),
        "unknown filter": join(header, gzip(b"\x06" + content[1:])),
        "filter 255": join(header, gzip(b"\xff" + content[1:])),
        "wrong checksum": clip[:-8] + bytes([clip[-8] ^ 1]) + clip[-7:],
        "too large an index": join(header, gzip(content[: 15 * 101] + b"\0\x08" + content[15 * 101 + 2 :])),
        "bomb": join(header, gzip(content + bytes(2**27))),
        "bomb at once": join(header, gzip(bytes(2**27))),
    }
    for name, change in HEADERS.items():
        changed = json.loads(json.dumps(header))
        change(changed)
        files[f"header: {name}"] = join(changed, rows)
    return files


def test_every_hostile_file_is_refused_in_words(clip):
    for name, content in hostile_files(clip).items():
        with pytest.raises(ValueError, match=r"^clip: .*[.]$"):
            read_s4d(content)
            pytest.fail(f"{name!r} was accepted")


def test_a_bomb_takes_no_more_memory_than_the_header_says(clip):
    files = hostile_files(clip)
    for name in ("bomb", "bomb at once", "header deep", "header: absurd count", "header: too many in all"):
        tracemalloc.start()
        with pytest.raises(ValueError, match=r"^clip: "):
            read_s4d(files[name])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**22, name


def test_any_byte_may_be_any_other(clip):
    """Each byte in turn becomes another: the file is refused or, where nothing tells, read."""
    for position in range(len(clip)):
        damaged = bytearray(clip)
        damaged[position] ^= (1, 0x20, 0x80, 0xFF)[position % 4]
        try:
            read_s4d(bytes(damaged)).at(2)
        except ValueError as error:
            assert str(error).startswith("clip: ")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_piece_may_be_missing_doubled_or_replaced(clip, data):
    begin = data.draw(st.integers(0, len(clip)))
    end = data.draw(st.integers(begin, len(clip)))
    damaged = clip[:begin] + data.draw(st.binary(max_size=64) | st.just(clip[begin:end] * 2)) + clip[end:]
    try:
        read_s4d(damaged)
    except ValueError as error:
        assert str(error).startswith("clip: ")


def test_the_viewers_reader_refuses_the_same_files(clip, tmp_path):
    files = hostile_files(clip)
    del files["rows and more"]  # Node's decompressor is content with that, browsers' are not
    for index, content in enumerate(files.values()):
        (tmp_path / f"{index}.s4d").write_bytes(content)
    (tmp_path / "good.s4d").write_bytes(clip)
    script, viewer = ROOT / "tests" / "web" / "read_s4d_files.mjs", ROOT / "web" / "viewer"
    command = [program("node"), str(script), str(viewer), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(done.stdout)
    assert found["verdicts"].pop("good.s4d") is None
    for index, name in enumerate(files):
        verdict = found["verdicts"][f"{index}.s4d"]
        assert verdict is not None, f"{name!r} was accepted"
        assert verdict.startswith("ViewerError: This "), (name, verdict)
        assert verdict.endswith("."), (name, verdict)
    assert found["memory"] < 100 * 2**20
