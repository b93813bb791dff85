"""Sizes and checks of metadata."""

import json

import pytest

from stag4d.metadata import checked_metadata, metadata_bytes


def test_size_is_that_of_the_json_object_in_ascii():
    assert metadata_bytes({}) == len("{}")
    assert metadata_bytes({"a": "b"}) == len('{"a": "b"}')
    assert metadata_bytes({"a": '"ü"\n'}) == len(r'{"a": "\"\u00fc\"\n"}')


def test_metadata_are_returned_as_a_dict_of_at_most_that_size():
    texts = {"workflow": json.dumps({"nodes": []}), "prompt": "{}"}
    assert checked_metadata(texts, "a.ply", metadata_bytes(texts)) == texts
    assert checked_metadata(None, "a.ply", 2) == {}
    with pytest.raises(ValueError, match=r"^a\.ply: 47 bytes of metadata; expected at most 46\.$"):
        checked_metadata(texts, "a.ply", 46)


@pytest.mark.parametrize(
    ("texts", "message"), [({1: "a"}, "metadata 1 is str"), ({"a": b"b"}, "'a' is bytes")]
)
def test_other_types_than_strings_are_refused(texts, message):
    with pytest.raises(TypeError, match=message):
        checked_metadata(texts, "a.ply", 100)
