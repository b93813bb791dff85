"""Damage to files: bytes, numbers and lengths, JSON entries, compressed members, chunks with valid checksums.

All of it follows from a ``random.Random``, so that a seed and a case number give the same file everywhere.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

_PNG = b"\x89PNG\r\n\x1a\n"
_GZIP = b"\x1f\x8b\x08"
_NEST, _DIGITS = "@nested@", "@digits@"  # replaced in the JSON text, since no writer makes such values
_WORDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
_FLOATS = (float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e30, 1e-40, 0.0, -1.0)
_NUMBERS = (b"0", b"-1", b"1e300", b"nan", b"99999999999", b"4294967296", b"1.5", b"30000000", b"9" * 400)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 2**31, 2**63, 10**30, 10**400, 40_000, 30_000_000, 0.5, 1e300, -1e300),
    *(
        1e-300,
        float("nan"),
        float("inf"),
        -float("inf"),
        "",
        "0",
        "text",
        "\0",
        "\u00e9\U0001f600",
        "a" * 50_000,
    ),
    *([], {}, [[]], [None], {"a": 1}, [0] * 20_000, _NEST, _DIGITS),
)


def mutate(content: bytes, random: Random) -> bytes:
    """Return a damaged copy of a file's content, up to four times damaged."""
    for _ in range(random.choice((1, 1, 1, 1, 2, 4))):
        structured = [mutation for fits, mutation in _STRUCTURED if fits(content)]
        use_structure = structured and random.random() < 0.6
        mutation = random.choice(structured if use_structure else _BYTE_MUTATIONS)
        content = mutation(content, random)
    return content


def _place(content: bytes, random: Random) -> int:
    """Return a position, in half of the cases in the first 512 bytes, where headers are."""
    end = min(len(content), 512) if random.random() < 0.5 else len(content)
    return random.randrange(end + 1)


def _change_bytes(content: bytes, random: Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(random.choice((1, 1, 4, 32))):
        place = _place(content, random)
        if place < len(damaged):
            damaged[place] = random.choice((damaged[place] ^ 1 << random.randrange(8), 0, 0xFF, 0x7F, 0x80))
    return bytes(damaged)


def _change_word(content: bytes, random: Random) -> bytes:
    """Replace an integer or a number of 2, 4 or 8 bytes, of either byte order."""
    place, order = _place(content, random), random.choice("<>")
    if random.random() < 0.3:
        word = struct.pack(f"{order}f", random.choice(_FLOATS))
    else:
        size = random.choice((2, 4, 8))
        word = struct.pack(f"{order}{'H' if size == 2 else 'I' if size == 4 else 'Q'}", _word(size, random))
    return content[:place] + word + content[place + len(word) :]


def _word(size: int, random: Random) -> int:
    return random.choice(_WORDS) % 2 ** (8 * size)


def _truncate(content: bytes, random: Random) -> bytes:
    return content[: random.choice((_place(content, random), max(len(content) - random.randrange(1, 40), 0)))]


def _remove_chunk(content: bytes, random: Random) -> bytes:
    place = _place(content, random)
    return content[:place] + content[place + random.choice((1, 4, 17, 200, 5000)) :]


def _repeat_chunk(content: bytes, random: Random) -> bytes:
    place = _place(content, random)
    end = place + random.choice((1, 4, 17, 200, 5000))
    return content[:end] + content[place:end] * random.choice((1, 1, 2, 20)) + content[end:]


def _insert_bytes(content: bytes, random: Random) -> bytes:
    place = _place(content, random)
    return content[:place] + random.randbytes(random.choice((1, 3, 8, 300))) + content[place:]


def _swap_chunks(content: bytes, random: Random) -> bytes:
    first, second, third = sorted(_place(content, random) for _ in range(3))
    return content[:first] + content[second:third] + content[first:second] + content[third:]


def _append_zeros(content: bytes, random: Random) -> bytes:
    return content + bytes(random.choice((1, 8, 4096, 100_000)))


def _change_number(content: bytes, random: Random) -> bytes:
    """Replace a number that is written as text."""
    found = [match.span() for match in re.finditer(rb"-?[0-9][0-9.]*", content[:20_000])]
    if not found:
        return _change_bytes(content, random)
    begin, end = random.choice(found)
    return content[:begin] + random.choice(_NUMBERS) + content[end:]


_BYTE_MUTATIONS: list[Mutation] = [
    *(_change_bytes, _change_bytes, _change_word, _change_word, _change_number, _change_number, _truncate),
    *(_remove_chunk, _repeat_chunk, _insert_bytes, _swap_chunks, _append_zeros),
]


def _change_json(content: bytes, random: Random) -> bytes:
    """Change an entry of a JSON text; one that is no longer JSON is damaged as bytes."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return _change_bytes(content, random)
    text = json.dumps(_change_value(value, random))
    nested = random.choice((900, 100_000))
    text = text.replace(f'"{_NEST}"', "[" * nested + "]" * nested).replace(f'"{_DIGITS}"', "9" * 5000)
    return text.encode()


def _change_value(value: Any, random: Random) -> Any:
    """Return a JSON value with one change, somewhere inside."""
    if isinstance(value, str) and value.startswith("{") and random.random() < 0.9:
        return _change_json(value.encode(), random).decode(errors="replace")  # JSON in JSON
    if isinstance(value, dict) and value and random.random() < 0.85:
        return _change_object(dict(value), random)
    if isinstance(value, list) and value and random.random() < 0.85:
        return _change_array(list(value), random)
    return random.choice(_VALUES)


def _change_object(value: dict[str, Any], random: Random) -> dict[str, Any]:
    name, choice = random.choice(list(value)), random.random()
    if choice < 0.75:
        value[name] = _change_value(value[name], random)
    elif choice < 0.85:
        del value[name]
    elif choice < 0.95:
        value[random.choice((name + "x", name[:-1], "", "unknown"))] = value.pop(name)
    else:
        value[random.choice(("unknown", "__proto__", name.upper()))] = random.choice(_VALUES)
    return value


def _change_array(value: list[Any], random: Random) -> list[Any]:
    index, choice = random.randrange(len(value)), random.random()
    if choice < 0.7:
        value[index] = _change_value(value[index], random)
    elif choice < 0.8:
        del value[index]
    elif choice < 0.9:
        value.insert(index, random.choice(_VALUES))
    else:
        value *= random.choice((0, 2, 100))
    return value


def _header_span(content: bytes) -> tuple[int, str, int] | None:
    """Return where the length of a JSON header is, its format and the header's begin, or None."""
    if content[:4] == b"S4DC" and len(content) > 12:
        return 8, "<I", 12
    if content[8:9] == b"{" and len(content) > 8 and struct.unpack("<Q", content[:8])[0] <= len(content) - 8:
        return 0, "<Q", 8  # safetensors
    return None


def _change_header(content: bytes, random: Random) -> bytes:
    """Change the JSON header of a file, and its length with it."""
    place, form, begin = _header_span(content)  # type: ignore[misc]
    end = begin + struct.unpack_from(form, content, place)[0]
    changes = [_change_json, _change_json, _change_number]
    if form == "<Q":
        changes += [_change_tensor, _change_tensor]
    header = random.choice(changes)(content[begin:end], random)
    length = struct.pack(form, len(header))
    return content[:place] + length + content[place + len(length) : begin] + header + content[end:]


def _change_tensor(header: bytes, random: Random) -> bytes:
    """Change a tensor in the header of a safetensors file so that the file stays consistent, or nearly."""
    try:
        entries = json.loads(header)
        names = [name for name, entry in entries.items() if "shape" in entry]
        first, second = random.choice(names), random.choice(names)
        entry = entries[first]
        choice = random.randrange(5)
        if choice == 0:
            random.shuffle(entry["shape"])
        elif choice == 1:
            entry["shape"] = [*entry["shape"], 1][random.randrange(2) :]
        elif choice == 2:
            entry["dtype"] = random.choice(
                ("I32", "U32", "F16", "BF16", "F64", "I64", "BOOL", "U8", "F8_E4M3")
            )
        elif choice == 3:
            entries[first], entries[second] = entries[second], entries[first]
        else:
            entry["shape"] = [0, random.choice((0, 1, 2**40, 2**62))]
            entry["data_offsets"] = [entry["data_offsets"][0]] * 2
        return json.dumps(entries).encode()
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return _change_bytes(header, random)


@functools.cache
def _bomb() -> bytes:
    """Return 1 GB of zeros in 4 MB, nearly nothing: as many gzip members as a decompressor reads."""
    return gzip.compress(bytes(2**24), mtime=0) * 64


def _change_gzip(content: bytes, random: Random) -> bytes:
    """Change what is compressed from the first gzip member to the end."""
    begin = content.find(_GZIP)
    if random.random() < 0.05:
        return content[:begin] + _bomb()
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(content[begin:], 2**24)
    except zlib.error:
        return _change_bytes(content, random)
    damaged = random.choice(_BYTE_MUTATIONS)(unpacked, random)
    return content[:begin] + gzip.compress(damaged, compresslevel=1, mtime=0)


def _change_zip(content: bytes, random: Random) -> bytes:
    """Change a member of an archive, or how it is stored."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error):
        return _change_bytes(content, random)
    name, method = random.choice(sorted(members)), zipfile.ZIP_STORED
    choice = random.random()
    if choice < 0.8:
        members[name] = random.choice(_BYTE_MUTATIONS)(members[name], random)
    elif choice < 0.9:
        del members[name]
    elif choice < 0.95:
        method = zipfile.ZIP_DEFLATED
    else:
        members[name], method = bytes(2**26), zipfile.ZIP_DEFLATED
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member), data, method)
    return stream.getvalue()


def _change_png(content: bytes, random: Random) -> bytes:
    """Change, remove or repeat a chunk of a PNG; checksums stay valid."""
    chunks, place = [], len(_PNG)
    while place + 12 <= len(content):
        length = min(struct.unpack_from(">I", content, place)[0], len(content) - place - 12)
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    if not chunks:
        return _change_bytes(content, random)
    index, choice = random.randrange(len(chunks)), random.random()
    kind, data = chunks[index]
    if choice < 0.2:
        chunks[0] = b"IHDR", struct.pack(">II", _side(random), _side(random)) + chunks[0][1][8:]
    elif choice < 0.5:
        chunks[index] = kind, random.choice(_BYTE_MUTATIONS)(data, random)
    elif choice < 0.75:
        chunks = [(name, _change_zlib(part, random) if name == b"IDAT" else part) for name, part in chunks]
    elif choice < 0.85:
        del chunks[index]
    else:
        chunks.insert(index, random.choice(chunks))
    return _PNG + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in chunks
    )


def _side(random: Random) -> int:
    return random.choice((0, 1, 7, 16, 17, 4000, 13_000, 30_000, 65_535, 2**31 - 1, 2**32 - 1))


def _change_zlib(data: bytes, random: Random) -> bytes:
    """Change what a zlib stream holds."""
    try:
        return zlib.compress(random.choice(_BYTE_MUTATIONS)(zlib.decompress(data), random), 1)
    except zlib.error:
        return _change_bytes(data, random)


_STRUCTURED: list[tuple[Callable[[bytes], object], Mutation]] = [
    (lambda content: content[:1] in (b"{", b"["), _change_json),
    (_header_span, _change_header),
    (lambda content: _GZIP in content[:100_000], _change_gzip),
    (lambda content: content[:2] == b"PK", _change_zip),
    (lambda content: content.startswith(_PNG), _change_png),
]
