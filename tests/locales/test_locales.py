"""The translations in locales/: complete, without leftovers; the English texts are those of the schemas."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from node_texts import node_texts

ROOT = Path(__file__).parents[2]
LANGUAGES = ("en", "zh", "ja", "ko")
SCRIPTS = {"zh": r"[\u4e00-\u9fff]", "ja": r"[\u3040-\u30ff]", "ko": r"[\uac00-\ud7a3]"}
UNTRANSLATED = {"name", "options"}  # may stay as they are: terms, data types, formats


def texts(language, name="nodeDefs"):
    return json.loads((ROOT / "locales" / language / f"{name}.json").read_text(encoding="utf-8"))


def flattened(value, path=""):
    """Yield the path and the text of every string."""
    if isinstance(value, str):
        yield path, value
        return
    for key, child in value.items():
        yield from flattened(child, f"{path}/{key}")


@pytest.fixture(scope="module")
def english(pack):
    return node_texts(asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list()))


def test_every_language_of_the_folder_is_tested():
    assert {path.name for path in (ROOT / "locales").iterdir()} == set(LANGUAGES)


def test_english_texts_are_those_of_the_schemas(english):
    assert texts("en") == english, "run tests/locales/write_english.py, and translate what has changed"


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_text_has_a_translation_and_nothing_else_has(language, english):
    expected, found = (dict(flattened(value)) for value in (english, texts(language)))
    assert sorted(expected.keys() - found.keys()) == []
    assert sorted(found.keys() - expected.keys()) == []
    assert all(text.strip() for text in found.values())


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_sentences_are_translated_and_keep_their_numbers(language, english):
    found = dict(flattened(texts(language)))
    for path, text in flattened(english):
        parts = path.split("/")
        if parts[-1] not in ("tooltip", "description"):
            continue
        assert re.search(SCRIPTS[language], found[path]), path
        assert numbers(found[path]) == numbers(text), path


def numbers(text):
    """Return the numbers of a text, sorted; those that are part of a name such as GLB2 or 3D are left out."""
    return sorted(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*[A-Za-z])", text, re.ASCII))


@pytest.mark.parametrize("language", LANGUAGES)
def test_menu_categories_have_names(pack, language):
    nodes = asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())
    parts = {part for node in nodes for part in node.define_schema().category.split("/")}
    assert texts(language, "main")["nodeCategories"].keys() == parts
