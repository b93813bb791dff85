"""Objects cut out of generated views, on disks whose coverage and color are known."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
import torch

from stag4d.matting import rembg_remover, remove_background
from stag4d.matting.background import border_color

GRAY = (127 / 255,) * 3
PINK = (0.9, 0.6, 0.75)  # light, and far from gray
NAVY = (0.05, 0.1, 0.3)


def disk(size: int, center: tuple[float, float], radius: float) -> torch.Tensor:
    """Return the share of each pixel that a disk covers, [size, size], from 8 x 8 samples a pixel."""
    places = (torch.arange(8 * size) + 0.5) / 8
    inside = (places[None] - center[0]) ** 2 + (places[:, None] - center[1]) ** 2 <= radius**2
    return inside.float().reshape(size, 8, size, 8).mean(dim=(1, 3))


def paint(coverage: torch.Tensor, color: tuple[float, ...], background: tuple[float, ...]) -> torch.Tensor:
    """Return an image [H, W, 3] of something of one color before another."""
    share = coverage[..., None]
    return share * torch.tensor(color) + (1 - share) * torch.tensor(background)


def bands(*values: tuple[float, int]) -> torch.Tensor:
    """Return a view [10, 10, 3] of columns: each value of red in so many of them."""
    row = torch.cat([torch.full((count,), value) for value, count in values])
    view = torch.zeros(10, 10, 3)
    view[..., 0] = row
    return view


COVERAGE = disk(48, (23.3, 25.1), 13.4)


@pytest.mark.parametrize("color", [PINK, NAVY])
def test_a_disk_on_gray_gets_its_own_coverage_as_alpha(color):
    _, alpha, is_plain = remove_background(paint(COVERAGE, color, GRAY))
    assert (alpha.shape, alpha.dtype, is_plain) == ((48, 48), torch.float32, True)
    assert (alpha - COVERAGE).abs().max() < 0.08  # pixels hardly covered count as background
    assert alpha[COVERAGE == 0].max() == 0


@pytest.mark.parametrize("color", [PINK, NAVY])
@pytest.mark.parametrize("background", [GRAY, (0.2, 0.8, 0.3)])
def test_pixels_on_the_edge_have_the_colors_of_the_object_alone(color, background):
    view = paint(COVERAGE, color, background)
    colors, alpha, _ = remove_background(view)
    assert colors.shape == (48, 48, 3)
    is_edge = (alpha > 0.15) & (alpha < 0.95)
    assert is_edge.sum() > 40
    difference = (colors - torch.tensor(color)).abs().amax(dim=-1)
    assert difference[is_edge].max() < 0.05
    mixed = (view - torch.tensor(color)).abs().amax(dim=-1)
    assert mixed[is_edge].max() > 0.3  # what there was to take out


def test_colors_are_unmixed_from_the_background_that_their_matte_was_found_with():
    """Of 60 pixels around, half are a level darker: the median is between, the corners count once."""
    view = torch.full((16, 16, 3), 0.5)
    view[:8] = 0.48
    view[5:11, 5:11] = torch.tensor(NAVY)
    view[5:11, 5] = 0.5 * torch.tensor(NAVY) + 0.5 * 0.49  # half covered
    colors, alpha, is_plain = remove_background(view)
    assert is_plain and alpha[7, 5].item() == pytest.approx(0.5, abs=0.01)
    torch.testing.assert_close(border_color(view), torch.full((3,), 0.49))
    torch.testing.assert_close(colors[6:10, 5], torch.tensor(NAVY).expand(4, 3), atol=5e-3, rtol=0)


@pytest.mark.parametrize(("color", "most"), [(PINK, 0.05), (NAVY, 0.08)])
def test_before_white_the_disk_is_as_if_painted_there(color, most):
    colors, alpha, _ = remove_background(paint(COVERAGE, color, GRAY))
    white = colors * alpha[..., None] + 1 - alpha[..., None]
    assert (white - paint(COVERAGE, color, (1.0, 1.0, 1.0))).abs().max() < most


def test_colors_inside_are_those_of_the_view():
    view = paint(COVERAGE, PINK, GRAY)
    inside = disk(48, (23.3, 25.1), 11.0) > 0
    view[inside] += 0.05 * torch.randn(int(inside.sum()), 3, generator=torch.Generator().manual_seed(0))
    colors, _, _ = remove_background(view.clamp(0, 1))
    torch.testing.assert_close(colors[inside], view.clamp(0, 1)[inside])


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_cut_somehow_and_called_doubtful(seed):
    view = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(seed))
    colors, alpha, is_plain = remove_background(view)
    assert not is_plain
    assert sorted(alpha.unique().tolist()) == [0, 1]
    torch.testing.assert_close(colors, view)  # of a mask without soft edges


@pytest.mark.parametrize("value", [0.0, 127 / 255, 1.0])
def test_a_view_of_nothing_is_empty_and_its_background_plain(value):
    colors, alpha, is_plain = remove_background(torch.full((16, 16, 3), value))
    assert not alpha.any()
    assert is_plain
    assert colors.isfinite().all()


@pytest.mark.parametrize(
    ("view", "object_columns"),
    [
        (bands((0.2, 6), (0.7, 4)), 4),
        (bands((0.7, 6), (0.2, 4)), 4),  # darker than the border's median
        # 60 at 0, 20 at 0.2, 20 at 1: cutting above 0 separates 60 * 40 * 0.6^2 = 864, above 0.2
        # 80 * 20 * 0.95^2 = 1444.
        (bands((0.0, 6), (0.2, 2), (1.0, 2)), 2),
        # 60 at 0, 20 at 0.8, 20 at 1: above 0 60 * 40 * 0.9^2 = 1944, above 0.8 80 * 20 * 0.8^2 = 1024.
        (bands((0.0, 6), (0.8, 2), (1.0, 2)), 4),
    ],
)
def test_where_the_border_is_not_plain_two_groups_are_told_apart(view, object_columns):
    expected = torch.zeros(10, 10)
    expected[:, 10 - object_columns :] = 1
    _, alpha, is_plain = remove_background(view)
    assert torch.equal(alpha, expected)
    assert not is_plain


def test_without_rembg_its_cutter_says_what_to_install():
    if find_spec("rembg") is not None:
        pytest.skip("rembg is installed")
    with pytest.raises(RuntimeError, match=r"mattes: rembg is not installed; pip install 'rembg\[cpu\]'"):
        rembg_remover()


def test_a_rembg_that_exits_at_import_is_an_error_like_any_other(tmp_path, monkeypatch):
    (tmp_path / "rembg.py").write_text("import sys\nsys.exit(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "rembg", raising=False)
    with pytest.raises(RuntimeError, match="rembg is not installed"):
        rembg_remover()
