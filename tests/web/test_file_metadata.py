"""Workflow and prompt in the images that the viewer saves, on an exported page and on one like ComfyUI's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chromium import TIMEOUT_MS
from PIL import Image

from stag4d.export import encode_s4d, write_html

pytestmark = pytest.mark.browser

SITE = "http://localhost"
WEB = Path(__file__).parents[2] / "web"
TEXTS = {"workflow": json.dumps({"note": "Füchse </script>"}, ensure_ascii=False), "prompt": "{}"}
SCRIPTS = {
    "api.js": "export const api = { fetchApi: (route) => fetch(`/api${route}`) };",
    "app.js": "export const app = { graphToPrompt: async () => "
    '({ workflow: { id: "one" }, output: { 1: { class_type: "STAG4DPreview" } } }) };',
}


@pytest.fixture
def page(browser):
    context = browser.new_context()
    context.set_default_timeout(TIMEOUT_MS)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("texts", [TEXTS, {}])
def test_image_saved_from_an_exported_page_has_its_metadata(page, tmp_path, box, texts):
    write_html(tmp_path / "a.html", encode_s4d(box), "box", texts)
    page.goto((tmp_path / "a.html").as_uri())
    page.get_by_text("1,176 splats").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save screenshot as PNG").click()
    download.value.save_as(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        found = {name: json.loads(text) for name, text in image.text.items()}
    assert found == {name: json.loads(text) for name, text in texts.items()}


@pytest.mark.parametrize(
    ("stats", "names"),
    [
        ({"system": {"argv": ["main.py", "--cpu"]}}, ["workflow", "prompt"]),
        ({"system": {"argv": ["main.py", "--disable-metadata"]}}, []),
        ({"system": {}}, []),  # unknown, so nothing is stored
        ({}, []),
    ],
)
def test_graph_is_stored_unless_comfyui_disables_metadata(page, stats, names):
    def serve(route):
        name = route.request.url.removeprefix(f"{SITE}/")
        if name == "api/system_stats":
            route.fulfill(body=json.dumps(stats))
        elif name.startswith("scripts/"):
            route.fulfill(body=SCRIPTS[name.removeprefix("scripts/")], content_type="text/javascript")
        elif name.startswith("extensions/pack/"):
            route.fulfill(path=WEB / name.removeprefix("extensions/pack/"), content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    page.route(f"{SITE}/**", serve)
    page.goto(SITE)
    texts = page.evaluate(
        "async () => (await import('/extensions/pack/js/file_metadata.mjs')).graphMetadata()"
    )
    assert list(texts) == names
    if names:
        assert json.loads(texts["workflow"]) == {"id": "one"}
        assert json.loads(texts["prompt"]) == {"1": {"class_type": "STAG4DPreview"}}
