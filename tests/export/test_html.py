"""The self-contained page: its content, its policy, and the bundled modules of the viewer."""

from __future__ import annotations

import base64
import re
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from stag4d.export import encode_s4d, html, read_s4d, write_html

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
VIEWER = ROOT / "web" / "viewer"


@pytest.fixture
def page(swaying_scene, tmp_path) -> str:
    """A page whose title has to be escaped."""
    write_html(tmp_path / "new" / "a.html", encode_s4d(swaying_scene), 'a </title> & "b"')
    return (tmp_path / "new" / "a.html").read_text(encoding="utf-8")


def test_page_holds_the_scene_as_base64(page, swaying_scene):
    text = re.search(r'<script type="text/plain" id="s4d">(.*?)</script>', page)[1]
    assert base64.b64decode(text) == encode_s4d(swaying_scene)
    assert read_s4d(base64.b64decode(text)).num_gaussians == 50


def test_title_is_escaped(page):
    assert "<title>a &lt;/title&gt; &amp; &quot;b&quot;</title>" in page
    assert page.count("</title>") == 1


def test_policy_allows_only_the_script_and_style_of_the_page(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    for directive, pattern in (
        ("script-src", r'<script type="module">(.*?)</script>'),
        ("style-src", r"<style>(.*?)</"),
    ):
        (content,) = re.findall(pattern, page, re.DOTALL)
        digest = base64.b64encode(sha256(content.encode()).digest()).decode()
        assert rules[directive] == f"'sha256-{digest}'"


def test_page_makes_no_network_requests(page):
    script = page[page.index('<script type="module">') :]
    assert not re.search(r"\b(?:src|href)=|@import|\bfetch\(|XMLHttpRequest|await import\(", script)
    assert set(re.findall(r"https?://[^\s\"'`]+", page)) <= {"http://www.w3.org/2000/svg"}  # an XML namespace


def test_bundle_has_every_module_once_and_after_its_imports():
    script = html.bundle_viewer()
    order = re.findall(r"^const \$(\w+) = \(\(\) => \{$", script, re.MULTILINE)
    assert sorted(order) == sorted(path.stem for path in VIEWER.glob("*.mjs"))
    for path in VIEWER.glob("*.mjs"):
        for name in re.findall(
            r'^import .* from "\./(\w+)\.mjs";$', path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert order.index(name) < order.index(path.stem)
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert "</script" not in script


@pytest.mark.parametrize(
    "source",
    [
        "export default 1;",
        "import * as all from './a.mjs';",
        "export { a } from './b.mjs';",
        "const a = '</script>';",
    ],
)
def test_module_that_cannot_be_bundled_is_named(tmp_path, monkeypatch, source):
    (tmp_path / "page.mjs").write_text(f"{source}\n", encoding="utf-8")
    monkeypatch.setattr(html, "_VIEWER_FOLDERS", (tmp_path,))
    with pytest.raises(ValueError, match=r"viewer: page\.mjs has .*; it cannot be bundled into a page\."):
        html.bundle_viewer()


def test_missing_modules_are_an_error_with_the_searched_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "_VIEWER_FOLDERS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(FileNotFoundError, match=r"viewer: not in .*a or .*b; reinstall stag4d"):
        write_html(tmp_path / "a.html", b"", "title")
    assert not (tmp_path / "a.html").exists()


def test_installed_package_contains_the_viewer_where_it_is_searched():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "stag4d").rglob("__init__.py")
    }
    assert set(settings["packages"]) == packages | {"stag4d.viewer"}
    assert settings["package-dir"] == {"stag4d.viewer": "web/viewer"}
    assert settings["package-data"]["stag4d.viewer"] == ["*.mjs"]
    assert html._VIEWER_FOLDERS[0] == ROOT / "stag4d" / "viewer"
