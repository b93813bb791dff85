"""Bars beside, above and below the content of a letterboxed or pillarboxed video."""

from __future__ import annotations

import numpy as np

from .surface import MAX_TOLERANCE, MIN_TOLERANCE, color_distances, median_color

_BLACK = 0.1  # of all channels; a bar on one side only that is wider than an edge must be darker
_MAX_LONE_SHARE = 0.25  # of the image, for a black bar on one side only
_MAX_EDGE = 0.03  # of the image, for lines of any color on any sides that a crop or a codec left
_MIN_CHANGE = 0.75  # of the content's outline must differ from the bars
_MAX_OUTLIERS = 0.02  # of a bar's line may be of another color
_NOISE_FACTOR = 4.0  # tolerance over the median color distance of the outermost line
_MAX_BLUR = 3  # lines between bar and content in which a codec or resizing mixes them


def content_inside_bars(pixels: np.ndarray) -> tuple[slice, slice] | None:
    """Find the content of an image between bars.

    Bars are rows or columns of one color along the whole width or height of the image, behind which nearly
    the whole line changes color at once: an object does not do that, unless it is a box across the whole
    image. Opposite bars may be of any width. A single bar must be black or narrow, and bars beside adjacent
    edges narrow: otherwise a box on a plain background would look like content.

    Args:
        pixels: [H, W, 3].

    Returns:
        Rows and columns of the content, without the lines that mix it with the bars; None without bars.
    """
    for line in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        color = median_color(line)
        noise = float(np.median(color_distances(line, color)))
        tolerance = min(max(_NOISE_FACTOR * noise, MIN_TOLERANCE), MAX_TOLERANCE)
        is_content = color_distances(pixels, color) > tolerance  # [H, W]
        spans = [_span(is_content.mean(axis=axis)) for axis in (1, 0)]  # of rows, of columns
        if any(span is None for span in spans):
            continue  # the whole image is of this color
        (top, bottom), (left, right) = (span for span in spans if span is not None)
        widths = np.array([[top, len(pixels) - bottom], [left, pixels.shape[1] - right]])  # [axis, side]
        content = is_content[top:bottom, left:right]
        if widths.any() and _is_box(content) and _are_bars(widths, pixels.shape[:2], color):
            rows, columns = slice(top, bottom), slice(left, right)
            inner = pixels[rows, columns]
            rows = _without_blur(np.median(inner, axis=1), rows, widths[0])
            columns = _without_blur(np.median(inner, axis=0), columns, widths[1])
            return (rows, columns) if min(rows.stop - rows.start, columns.stop - columns.start) > 2 else None
    return None


def _span(shares: np.ndarray) -> tuple[int, int] | None:
    """Return the first line with content and the one after the last; codecs change a few pixels of bars."""
    lines = np.nonzero(shares > _MAX_OUTLIERS)[0]
    return (int(lines[0]), int(lines[-1]) + 1) if len(lines) else None


def _is_box(content: np.ndarray) -> bool:
    """Return whether the outline of content [h, w] differs from the bars, at all corners and nearly all over.

    The second line is looked at, too, because the first may be a mixture of bar and content.
    """
    if min(content.shape) < 5:
        return False
    inner = content[1:-1, 1:-1]
    corners = inner[[0, 0, -1, -1], [0, -1, 0, -1]]
    outline = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    return bool(corners.all()) and float(outline.mean()) >= _MIN_CHANGE


def _are_bars(widths: np.ndarray, shape: tuple[int, ...], color: np.ndarray) -> bool:
    """Return whether lines of one color, widths [axis, side], can be bars of an image of a shape (H, W)."""
    shares = widths / np.array(shape)[:, None]  # of the image
    if shares.max() <= _MAX_EDGE:
        return True
    if (shares > 0).any(axis=1).all():
        return False
    is_pair = bool((widths > 0).all(axis=1).any())
    return is_pair or (bool(color.max() <= _BLACK) and float(shares.max()) <= _MAX_LONE_SHARE)


def _without_blur(lines: np.ndarray, span: slice, widths: np.ndarray) -> slice:
    """Return a span without the first and last lines, where they lie beside a bar and differ from the next.

    Args:
        lines: Median color of each line of the span, [N, 3].
        span: Rows or columns of the content.
        widths: [2] widths of the bars before and after it.
    """
    steps = color_distances(lines[1:], lines[:-1]) > MIN_TOLERANCE  # [N - 1]
    cuts = []
    for width, near in zip(widths, (steps, steps[::-1]), strict=True):
        changes = np.nonzero(near[:_MAX_BLUR])[0]
        cuts.append(int(changes[-1]) + 1 if width and len(changes) else 0)
    return slice(span.start + cuts[0], span.stop - cuts[1])
