"""Players on a page of a browser, which gets the viewer's modules as they lie and from no server."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from stag4d.export import encode_s4d
from stag4d.scene import GaussianModel4D

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

ROOT = Path(__file__).parents[2]
SITE = "http://localhost"
PAGE = """<!doctype html>
<html lang="en"><title>test</title><style>body { margin: 0; background: #888; }</style>
<body><script type="module">
import { S4DPlayer } from "/viewer/player.mjs";
Object.assign(window, {
  players: [],
  bytes: (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)),
  async add(width, height, clip) {
    const parent = document.createElement("div");
    parent.style.cssText = `width: ${width}px; height: ${height}px; float: left`;
    document.body.append(parent);
    const player = new S4DPlayer(parent);
    players.push(player);
    if (clip) await player.load(bytes(clip));
    return players.length - 1;
  },
  settled: () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
  pictureOf: (player) => player.element.shadowRoot.querySelector("canvas"),
});
</script></body></html>"""


@dataclass(frozen=True)
class Viewer:
    """One player on a page.

    Attributes:
        page: The page, which may have other players.
        index: Of the player among ``window.players``.
    """

    page: Page
    index: int

    def run(self, body: str, value: Any = None) -> Any:
        """Return what JavaScript with ``player`` and ``value`` in it returns."""
        script = "async ([index, value]) => { const player = players[index]; %s }" % body  # noqa: UP031
        return self.page.evaluate(script, [self.index, value])

    def picture(self) -> np.ndarray:
        """Return what the screenshot button saves, uint8 [H, W, 4]."""
        return self._decode("await player.screenshot()")

    def canvas(self) -> np.ndarray:
        """Return what the canvas has without being drawn again, uint8 [H, W, 4]."""
        return self._decode("await new Promise((done) => pictureOf(player).toBlob(done))")

    def _decode(self, blob: str) -> np.ndarray:
        body = (
            f"const blob = {blob}; const data = new Uint8Array(await blob.arrayBuffer());"
            "let text = ''; for (const byte of data) text += String.fromCharCode(byte); return btoa(text);"
        )
        with Image.open(io.BytesIO(base64.b64decode(self.run(body)))) as image:
            return np.array(image.convert("RGBA"))

    def load(self, model: GaussianModel4D) -> None:
        """Show another scene."""
        self.run("await player.load(bytes(value))", base64.b64encode(encode_s4d(model)).decode())

    def look(self, **view: Any) -> None:
        """Set the view."""
        self.run("player.setView(value)", view)

    def set_picture_size(self, width: int, height: int) -> None:
        """Make the picture, without the controls, a number of pixels large."""
        self.run(
            "const { parentElement: parent, shadowRoot: root } = player.element;"
            "const dock = root.querySelector('.dock');"
            "parent.style.width = `${value[0]}px`; await settled();"
            "parent.style.height = `${value[1] + dock.offsetHeight}px`; await settled();",
            [width, height],
        )


@contextmanager
def open_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """Yield a page that can import the viewer, with the context's options; raises what goes wrong in it."""
    context = browser.new_context(viewport={"width": 900, "height": 700}, **options)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route(f"{SITE}/**", _serve)
    page.goto(f"{SITE}/")
    page.wait_for_function("window.add !== undefined")
    yield page
    context.close()
    assert errors == []


def _serve(route: Route) -> None:
    """Answer with the page or one of the viewer's modules."""
    name = route.request.url.removeprefix(f"{SITE}/")
    if name.startswith("viewer/"):
        route.fulfill(path=ROOT / "web" / name, content_type="text/javascript")
    else:
        route.fulfill(body=PAGE, content_type="text/html", status=404 if name else 200)
