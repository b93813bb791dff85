"""Metadata in exported files: formats with a place for them hold them, and nothing else changes."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData

from stag4d.export import (
    EXPORT_FORMATS,
    encode_glb,
    encode_ply,
    encode_s4d,
    read_ply,
    read_s4d,
    write_html,
    write_s4d,
    write_splat_sequence,
)
from stag4d.geometry import OrbitPose
from stag4d.metadata import metadata_bytes

WORKFLOW = {"nodes": [{"id": 1, "type": "Note", "text": 'Füchse "</script>" <!--\nend_header\n'}]}
TEXTS = {"workflow": json.dumps(WORKFLOW), "prompt": json.dumps({"1": {"class_type": "STAG4DExport"}})}
WITH_METADATA = [name for name, entry in EXPORT_FORMATS.items() if entry.max_metadata_bytes]
JSON_OF_GLB = 20  # offset, bytes


def glb_document(content: bytes) -> dict:
    (length,) = struct.unpack_from("<I", content, 12)
    return json.loads(content[JSON_OF_GLB : JSON_OF_GLB + length])


def s4d_header(content: bytes) -> dict:
    (length,) = struct.unpack_from("<I", content, 8)
    return json.loads(content[12 : 12 + length])


def stored(name: str, path: Path) -> dict[str, str]:
    """Return the metadata in a file, read without this package."""
    content = path.read_bytes()
    if name == "ply":
        return dict(comment.split(" ", 1) for comment in PlyData.read(path)["vertex"].comments)
    if name == "glb":
        return {key: text for key, text in glb_document(content)["asset"]["extras"].items() if key in TEXTS}
    if name == "clip":
        return s4d_header(content)["metadata"]
    element = re.search(rb'<script type="application/json" id="metadata">(.*?)</script>\n', content)
    return json.loads(element[1])


def largest(name: str, limit: int) -> dict[str, str]:
    """Return metadata of exactly ``limit`` bytes."""
    return {name: "a" * (limit - metadata_bytes({name: ""}))}


def test_formats_with_a_place_for_metadata():
    assert WITH_METADATA == ["ply", "html", "clip", "glb"]
    assert [name for name, entry in EXPORT_FORMATS.items() if "metadata" in entry.options] == WITH_METADATA


@pytest.mark.parametrize("name", WITH_METADATA)
def test_file_holds_the_metadata(swaying_scene, tmp_path, name):
    if name == "glb":
        pytest.importorskip("fourdgs")
    path = tmp_path / f"a{EXPORT_FORMATS[name].suffix}"
    EXPORT_FORMATS[name].write(path, swaying_scene, metadata=TEXTS)
    found = stored(name, path)
    assert list(found) == ["workflow", "prompt"]
    assert {key: json.loads(text) for key, text in found.items()} == {
        key: json.loads(text) for key, text in TEXTS.items()
    }
    with_metadata = path.read_bytes()
    EXPORT_FORMATS[name].write(path, swaying_scene, metadata=TEXTS)
    assert path.read_bytes() == with_metadata


@pytest.mark.parametrize("name", WITH_METADATA)
def test_no_metadata_change_nothing(swaying_scene, tmp_path, name):
    if name == "glb":
        pytest.importorskip("fourdgs")
    path = tmp_path / f"a{EXPORT_FORMATS[name].suffix}"
    contents = set()
    for options in ({}, {"metadata": None}, {"metadata": {}}):
        EXPORT_FORMATS[name].write(path, swaying_scene, **options)
        contents.add(path.read_bytes())
    assert len(contents) == 1
    assert b"metadata" not in contents.pop().partition(b'<script type="module">')[0]


@pytest.mark.parametrize("name", WITH_METADATA)
def test_too_large_metadata_are_refused_and_no_file_is_left(swaying_scene, tmp_path, name):
    if name == "glb":
        pytest.importorskip("fourdgs")
    entry = EXPORT_FORMATS[name]
    path = tmp_path / f"a{entry.suffix}"
    texts = largest("workflow", entry.max_metadata_bytes + 1)
    with pytest.raises(
        ValueError, match=rf"bytes of metadata; expected at most {entry.max_metadata_bytes}\."
    ):
        entry.write(path, swaying_scene, metadata=texts)
    with pytest.raises(TypeError, match="metadata 'workflow' is list; expected strings"):
        entry.write(path, swaying_scene, metadata={"workflow": []})
    assert not list(tmp_path.iterdir())
    entry.write(path, swaying_scene, metadata=largest("workflow", entry.max_metadata_bytes))
    assert path.is_file()


def test_ply_header_stays_within_64_kib_and_its_third_line_has_the_count(swaying_scene, tmp_path):
    """Spark reads no more of a header, and 3DGS's own viewer expects the count there."""
    gaussians = swaying_scene.at(swaying_scene.frame_times[:1])[0]
    path = tmp_path / "a.ply"
    for texts in (TEXTS, largest("workflow", EXPORT_FORMATS["ply"].max_metadata_bytes)):
        content = encode_ply(gaussians, texts)
        assert content.index(b"\nend_header\n") < 2**16 - 100
        assert content.splitlines()[2] == b"element vertex 50"
        assert content.count(b"end_header") == 1  # ComfyUI searches for it alone
        path.write_bytes(content)
        np.testing.assert_array_equal(read_ply(path).means, gaussians.means)


def test_gsply_reads_a_ply_with_metadata(swaying_scene, tmp_path):
    gsply = pytest.importorskip("gsply")
    gaussians = swaying_scene.at(swaying_scene.frame_times[:1])[0]
    for name, texts in (("plain", None), ("long", largest("workflow", 50_000))):
        (tmp_path / f"{name}.ply").write_bytes(encode_ply(gaussians, texts))
    plain, long = (gsply.plyread(str(tmp_path / f"{name}.ply")) for name in ("plain", "long"))
    np.testing.assert_array_equal(plain.means, long.means)
    np.testing.assert_array_equal(plain.quats, long.quats)


@pytest.mark.parametrize("texts", [{"a": "1\n2"}, {"a": "ü"}, {"a b": "1"}, {"a\n": "1"}, {"": "1"}])
def test_text_that_is_no_ply_comment_is_refused(swaying_scene, texts):
    with pytest.raises(ValueError, match="is not a line of ASCII; expected JSON, escaped"):
        encode_ply(swaying_scene.at(swaying_scene.frame_times[:1])[0], texts)


def test_each_file_of_a_sequence_holds_the_metadata(swaying_scene, tmp_path):
    paths = write_splat_sequence(tmp_path / "a", swaying_scene, "ply", metadata=TEXTS)
    assert len(paths) == 5
    assert all(json.loads(stored("ply", path)["workflow"]) == WORKFLOW for path in paths)


def test_glb_with_metadata_is_valid_and_its_json_is_within_the_first_mib(swaying_scene, tmp_path):
    fourdgs = pytest.importorskip("fourdgs")
    gaussians = swaying_scene.at(swaying_scene.frame_times[:1])[0]
    plain = encode_glb(gaussians)
    for texts in (TEXTS, largest("workflow", EXPORT_FORMATS["glb"].max_metadata_bytes)):
        content = encode_glb(gaussians, texts)
        magic, version, length, json_length = struct.unpack_from("<4sIII", content)
        assert (magic, version, length) == (b"glTF", 2, len(content))
        assert json_length % 4 == 0
        assert JSON_OF_GLB + json_length < 2**20
        document = glb_document(content)
        assert {key: document["asset"]["extras"].pop(key) for key in texts} == texts
        assert document == glb_document(plain)
        (tmp_path / "a.glb").write_bytes(content)
        found = fourdgs.from_gltf(str(tmp_path / "a.glb")).gaussians
        np.testing.assert_array_equal(found.positions, gaussians.means)


def test_s4d_header_has_space_for_the_largest_metadata_and_64_views(swaying_scene):
    angles = [-0.12345678901234567 - index for index in range(64)]
    poses = [
        OrbitPose(azimuth_deg=a, elevation_deg=a, radius=9.123456789012345, fovy_deg=1 - a) for a in angles
    ]
    texts = largest("workflow", EXPORT_FORMATS["clip"].max_metadata_bytes)
    content = encode_s4d(swaying_scene, view_poses=poses, metadata=texts)
    assert s4d_header(content)["metadata"] == texts
    assert read_s4d(content).num_gaussians == 50
    plain = s4d_header(encode_s4d(swaying_scene, view_poses=poses))
    assert plain == {key: value for key, value in s4d_header(content).items() if key != "metadata"}


def test_metadata_of_a_page_are_not_in_its_s4d_file(swaying_scene, tmp_path):
    write_html(tmp_path / "a.html", encode_s4d(swaying_scene), "a", TEXTS)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 3  # no text ends its element
    write_html(tmp_path / "b.html", encode_s4d(swaying_scene), "a")
    line = re.search(r'<script type="application/json" id="metadata">.*\n', page)[0]
    assert page.replace(line, "") == (tmp_path / "b.html").read_text(encoding="utf-8")


def test_write_s4d_passes_metadata_on(swaying_scene, tmp_path):
    write_s4d(tmp_path / "a.s4d", swaying_scene, metadata=TEXTS)
    assert stored("clip", tmp_path / "a.s4d") == TEXTS
