"""The translated help pages, web/docs/NODE/LANGUAGE.md: the content of the English ones, translated names."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "web" / "docs"
NODES = sorted(path.stem for path in PAGES.glob("*.md"))
LANGUAGES = ("zh",)
translated = pytest.mark.parametrize(
    ("node", "language"), [(node, language) for node in NODES for language in LANGUAGES]
)


def pages(node, language):
    """Return the English page of a node and its translation."""
    paths = (PAGES / f"{node}.md", PAGES / node / f"{language}.md")
    return tuple(path.read_text(encoding="utf-8") for path in paths)


def node_texts(language):
    return json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))


def layout(page):
    """Return the headings, paragraphs, list items and table rows of a page, and the rows' identifiers."""
    parts = []
    for block in page.strip().split("\n\n"):
        lines = block.splitlines()
        first = lines[0]
        if first.startswith("|"):
            parts += [("row", line.count(" | "), *codes(line.split(" | ")[0])) for line in lines]
        elif first.startswith("- "):
            parts += ["item" for line in lines if line.startswith("- ")]
        else:
            parts.append(re.match(r"#+ |```|", first)[0])
    return parts


def codes(text):
    return re.findall(r"`([^`\n]+)`", text)


def messages(page):
    """Return the quoted messages, which the program prints in English."""
    items = re.findall(r"^- .*", page, re.MULTILINE)
    return [message for item in items for message in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", item)]


def numbers(page):
    """Return the numbers of a page, in any order, without those in names such as GLB2 or 3D."""
    return Counter(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*[A-Za-z])", page))


def node_names(page, names):
    """Return how often a page has the name of each node."""
    return Counter(re.findall("|".join(sorted(names, key=len, reverse=True)), page.replace("\n", " ")))


def test_every_page_is_translated_into_the_same_languages():
    expected = {f"{node}/{language}.md" for node in NODES for language in LANGUAGES}
    assert {path.relative_to(PAGES).as_posix() for path in PAGES.glob("*/*")} == expected


@translated
def test_translation_has_the_layout_of_the_page(node, language):
    english, found = pages(node, language)
    assert layout(found) == layout(english)


@translated
def test_identifiers_numbers_and_messages_are_those_of_the_page(node, language):
    english, found = pages(node, language)
    assert Counter(codes(found)) == Counter(codes(english))
    assert numbers(found) == numbers(english)
    assert messages(found) == messages(english)


@translated
def test_nodes_have_their_translated_names(node, language):
    english, found = pages(node, language)
    names = {key: texts["display_name"] for key, texts in node_texts("en").items()}
    local = {key: texts["display_name"] for key, texts in node_texts(language).items()}
    counts = node_names(english, names.values())
    expected = Counter({local[key]: counts[name] for key, name in names.items()})
    assert node_names(found, local.values()) == expected
    assert found.startswith(f"# {local[node]}\n")


@translated
def test_rows_begin_with_the_names_on_the_node(node, language):
    """The node shows the translated names of inputs and outputs; the first column has their identifiers."""
    for english, found in zip(*map(tables, pages(node, language)), strict=True):
        kind = {"Parameter": "inputs", "Output": "outputs"}.get(english[0].split(" | ")[0].strip("| "))
        if kind:
            names = displayed_names(node, language, kind)
            for row in found[2:]:
                first, _, text = row.split(" | ", 2)
                shown = [names[name] for name in codes(first)]
                bold = "、".join(f"**{name}**" for name in shown if name not in codes(first))
                assert text.startswith(f"{bold}。" if bold else ""), first


def tables(page):
    return [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]


def displayed_names(node, language, kind):
    english, found = (node_texts(name)[node][kind] for name in ("en", language))
    return {texts["name"]: found[key]["name"] for key, texts in english.items()}
