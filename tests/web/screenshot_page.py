"""Write docs/page.jpg: the self-contained page of a scene, opened from disk.

``PYTHONPATH=tests/support python tests/web/screenshot_page.py demo_out/scene.html``
"""

import io
import sys
from pathlib import Path

from chromium import chromium
from PIL import Image

OUT = Path(__file__).parents[2] / "docs" / "page.jpg"
SIZE = {"width": 900, "height": 620}
HAS_ALL_PIXELS = """() => {  // while the camera moves, a slow machine renders fewer
  const canvas = document.querySelector(".stag4d-viewer").shadowRoot.querySelector("canvas");
  return canvas.width >= Math.floor(canvas.clientWidth * devicePixelRatio);
}"""

with chromium() as browser:
    page = browser.new_page(viewport=SIZE)
    page.goto(Path(sys.argv[1]).resolve().as_uri())
    page.get_by_role("button", name="Pause (space)").click()
    canvas = page.locator(".stag4d-viewer canvas")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.42 * box["width"], box["y"] + 0.58 * box["height"], steps=4)
    page.mouse.up()
    page.wait_for_function(HAS_ALL_PIXELS)
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
image.save(OUT, quality=85, optimize=True)
