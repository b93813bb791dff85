"""Players on a page in Chromium, which gets the viewer's modules from ``web/viewer`` without a server."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from chromium import TIMEOUT_MS
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
  async add(width, height, s4d) {
    const parent = document.createElement("div");
    parent.style.cssText = `width: ${width}px; height: ${height}px; float: left`;
    document.body.append(parent);
    const player = new S4DPlayer(parent);
    players.push(player);
    if (s4d) await player.load(bytes(s4d));
    return players.length - 1;
  },
  rendered: () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
  canvasOf: (player) => player.element.shadowRoot.querySelector("canvas"),
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
        """Return the result of JavaScript statements in which ``player`` and ``value`` are defined."""
        script = "async ([index, value]) => { const player = players[index]; %s }" % body  # noqa: UP031
        return self.page.evaluate(script, [self.index, value])

    def screenshot(self) -> np.ndarray:
        """Render the current view and return the image that the screenshot button saves, uint8 [H, W, 4]."""
        return self._decode("await player.screenshot()")

    def canvas(self) -> np.ndarray:
        """Return the canvas as it is, without rendering, uint8 [H, W, 4]."""
        return self._decode("await new Promise((done) => canvasOf(player).toBlob(done))")

    def _decode(self, blob: str) -> np.ndarray:
        body = (
            f"const blob = {blob}; const data = new Uint8Array(await blob.arrayBuffer());"
            "let text = ''; for (const byte of data) text += String.fromCharCode(byte); return btoa(text);"
        )
        with Image.open(io.BytesIO(base64.b64decode(self.run(body)))) as image:
            return np.array(image.convert("RGBA"))

    def load(self, model: GaussianModel4D) -> None:
        """Load another scene."""
        self.run("await player.load(bytes(value))", base64.b64encode(encode_s4d(model)).decode())

    def set_view(self, **view: Any) -> None:
        """Set fields of the saved view: camera and time."""
        self.run("player.setView(value)", view)

    def set_canvas_size(self, width: int, height: int) -> None:
        """Resize the player so that its canvas, without the controls, has this size in CSS pixels."""
        self.run(
            "const { parentElement: parent, shadowRoot: root } = player.element;"
            "const dock = root.querySelector('.dock');"
            "parent.style.width = `${value[0]}px`; await rendered();"
            "parent.style.height = `${value[1] + dock.offsetHeight}px`; await rendered();",
            [width, height],
        )

    def wait_for_render(self) -> None:
        """Wait for two animation frames of the browser; every render requested before is done then."""
        self.page.evaluate("rendered()")

    def advance(self, milliseconds: int) -> None:
        """Move the page's manual clock forward; its timers and animation frames run at every 16 ms of it."""
        self.page.clock.run_for(milliseconds)

    def wait_until_out_of_sight(self) -> None:
        """Wait until the browser has reported to every observer that the player is outside the viewport."""
        self.run(
            "await new Promise((done) => new IntersectionObserver((entries, observer) => {"
            "  if (entries.at(-1).isIntersecting) return; observer.disconnect(); done();"
            "}).observe(player.element))"
        )


def use_manual_clock(page: Page) -> None:
    """Give the page's next document a clock, timers and animation frames that only ``run_for`` advances."""
    page.clock.install(time=0)
    page.clock.pause_at(24 * 3600)  # seconds; later than any real time until the document is there


@contextmanager
def open_page(browser: Browser, *, has_manual_clock: bool = False, **options: Any) -> Iterator[Page]:
    """Yield a page that can import the viewer; fails at the end if the page raised an error.

    Args:
        browser: The browser.
        has_manual_clock: Time stands still on the page except in ``Viewer.advance``.
        options: Of the browser context.
    """
    context = browser.new_context(viewport={"width": 900, "height": 700}, **options)
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route(f"{SITE}/**", _serve)
    if has_manual_clock:
        use_manual_clock(page)
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
