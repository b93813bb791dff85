"""The page of a report: self-contained, escaped, with every view; what it says of a fit."""

from __future__ import annotations

import base64
import io
import re
from hashlib import sha256
from html.parser import HTMLParser

import pytest
import torch
from fit_reports import compared_view, compared_views, report_of
from PIL import Image

from stag4d.optimization import FitHistory
from stag4d.pipeline import fit_page, write_fit_page
from stag4d.pipeline.fit_comparison import FitComparison

EVIL = "<script>alert('x')</script> & \"y\""
VOID = ("meta", "img", "path", "rect")  # elements without an end tag here


class Outline(HTMLParser):
    """Records elements and checks that they are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def page() -> str:
    """The page of a fit with a wrong view and a name that has to be escaped."""
    comparison = compared_views(30.0, 31.0, 12.0, 30.5, 30.2, name={4: EVIL}, is_reference={0: True})
    return fit_page(
        report_of(comparison, warnings=[f"{EVIL}: far below"], metrics={"psnr": 25.125, "per_view": {}})
    )


def test_page_is_well_formed_and_refers_to_nothing_else(page):
    outline = Outline(page)
    assert outline.open == []
    addresses = [
        value
        for _, attributes in outline.found
        for name, value in attributes.items()
        if name in ("href", "src", "srcset", "action", "data", "xlink:href")
    ]
    assert all(re.match(r"data:image/jpeg;base64,|#view\d+$", address) for address in addresses)
    assert not re.search(r"https?:|//|@import|url\(", re.sub(r"data:image/jpeg;base64,[^\"]*", "", page))
    assert not outline.of("script")
    assert not [
        attributes for _, attributes in outline.found if "style" in attributes or "onload" in attributes
    ]


def test_policy_allows_only_the_style_and_images_of_the_page(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert (rules["default-src"], rules["img-src"]) == ("'none'", "data:")
    assert "script-src" not in rules


def test_names_are_escaped(page):
    assert "<script>" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;y&quot; (azimuth 240" in page


def test_page_has_each_view_with_its_images_the_worst_first(page):
    outline = Outline(page)
    assert [section["id"] for section in outline.of("section")] == [f"view{index}" for index in range(5)]
    assert re.findall(r"<h3>(view \d|&lt;)[^<]*<small>([\d.]+) dB", page)[0] == ("view 2", "12.0")
    images = outline.of("img")
    assert len(images) == 5 * 2  # frames 0 and 8 of the made-up comparison
    assert images[0]["alt"] == "view 2, frame 0: given image, render, difference"
    content = base64.b64decode(images[0]["src"].partition(",")[2])
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (24, 6)
        assert abs(image.getpixel((3, 3))[0] - 40) < 5  # that of view 2
    assert page.count('class="far"') == 2  # in the table and above its images
    assert ">view 0</a> (input video)" in page


def test_page_has_curves_warnings_and_numbers(page):
    assert len(re.findall(r'<svg viewBox="0 0 \d+ \d+" role="img" aria-label="', page)) == 3
    assert 'class="warnings"' in page
    assert "<dt>psnr</dt><dd>25.12</dd>" in page
    assert "mean over 3 of 9 frames" in page
    assert "difference times 4" in page
    assert "&quot;preset&quot;: &quot;fast&quot;" in page


def test_a_fit_without_problems_says_what_was_checked():
    page = fit_page(report_of(compared_views(*[30.0] * 5)))
    assert "No view is" in page
    assert 'class="warnings"' not in page


def test_an_interrupted_fit_says_so():
    page = fit_page(report_of(None, steps=20, history=FitHistory()))
    assert "The fit was interrupted; the scene was not compared with the views." in page
    assert "<dd>20 of 30</dd>" in page
    assert Outline(page).open == []


def test_pages_of_many_views_stay_small(tmp_path):
    noise = torch.randint(0, 256, (3, 131, 393, 3), generator=torch.Generator().manual_seed(0)).byte()
    smooth = (
        torch.nn.functional.avg_pool2d(noise.permute(0, 3, 1, 2).float(), 5, 1, 2).permute(0, 2, 3, 1).byte()
    )
    views = [compared_view(index, 30.0, strips=smooth) for index in range(21)]
    comparison = FitComparison(num_frames=9, frames=(0, 4, 8), shown_frames=(0, 4, 8), views=views)
    write_fit_page(tmp_path / "new" / "report.html", report_of(comparison))
    assert (tmp_path / "new" / "report.html").stat().st_size < 3e6
