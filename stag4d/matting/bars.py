"""Bars beside, above and below the content of a letterboxed or pillarboxed video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from .surface import MAX_TOLERANCE, MIN_TOLERANCE, color_distances, median_color

_BLACK = 0.1  # of all channels; a bar on one side only that is wider than an edge must be darker
_MAX_LONE_SHARE = 0.25  # of the image, for a black bar on one side only
_MAX_EDGE = 0.03  # of the image, for lines of any color on any sides that a crop or a codec left
_MIN_SIDE = 8  # pixels of content
_MIN_CHANGE = 0.75  # of the content's outline must differ from the bars
_MAX_OUTLIERS = 0.02  # of the bars' pixels may be of another color
_NOISE_FACTOR = 4.0  # tolerance over the median color distance of the outermost line
_MAX_BLUR = 8  # lines between bar and content in which a codec or resizing mixes them
_MIN_MOTION = 1e-3  # of the pixels between bars on all four sides must change during the video


class _Box(NamedTuple):
    """Content that is surrounded by one color: its rows and columns, and the bars around it.

    Attributes:
        rows: Rows of the content.
        columns: Columns of the content.
        widths: [axis, side] of the bars, pixels.
    """

    rows: slice
    columns: slice
    widths: np.ndarray


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
    lines = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    for channels, tolerance in dict.fromkeys(map(_color_and_tolerance, lines)):  # often all of one color
        color = np.array(channels)
        for box in _boxes(pixels, color, tolerance):
            if _are_bars(box.widths, pixels.shape[:2], color):
                rows, columns = _inner_spans(pixels, box)
                if min(rows.stop - rows.start, columns.stop - columns.start) >= _MIN_SIDE:
                    return rows, columns
    return None


def content_inside_black_frame(video: Iterable[np.ndarray]) -> tuple[slice, slice] | None:
    """Find the content of a video between black bars on all four sides (windowboxed).

    A single image does not tell such bars from the background of a box. In a video, the bars keep their
    widths while something between them moves; a box that stands still does not change.

    Args:
        video: Frames [H, W, 3]; entirely black ones are passed over.

    Returns:
        Rows and columns of the content in all frames, without the lines that mix it with the bars; None if
        there are no such bars, or they are so narrow that ``content_inside_bars`` finds them in each frame.
    """
    first, spans, has_motion = None, [], False
    for pixels in video:
        if pixels.max() <= _BLACK:
            continue
        box = _box_in_black(pixels)
        if box is None:
            return None
        first = first or (box, pixels)
        if np.abs(box.widths - first[0].widths).max() > 1:  # a codec may move an edge by a line
            return None
        inner = _inner_spans(pixels, box)
        spans.append([[span.start, span.stop] for span in inner])
        changes = color_distances(pixels[inner], first[1][inner]) > MAX_TOLERANCE
        has_motion = has_motion or bool(changes.mean() > _MIN_MOTION)
    if not has_motion:
        return None
    starts, stops = np.max(spans, axis=0)[:, 0], np.min(spans, axis=0)[:, 1]  # [axis]
    rows, columns = (slice(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True))
    return (rows, columns) if (stops - starts).min() >= _MIN_SIDE else None


def _box_in_black(pixels: np.ndarray) -> _Box | None:
    """Return the box in an image [H, W, 3] with black on all four sides, wider than what a crop left."""
    color = median_color(pixels[0])
    if color.max() > _BLACK or not np.isfinite(pixels).all():
        return None
    box = next(_boxes(pixels, color, MAX_TOLERANCE), None)  # a codec's ringing is in the bars, too
    is_found = box is not None and box.widths.all() and not _are_bars(box.widths, pixels.shape[:2], color)
    return box if is_found else None


def _color_and_tolerance(line: np.ndarray) -> tuple[tuple[float, ...], float]:
    """Return the median color of a line [N, 3] of pixels, and the distance to it that its noise explains."""
    color = median_color(line)
    noise = float(np.median(color_distances(line, color)))
    return tuple(color), min(max(_NOISE_FACTOR * noise, MIN_TOLERANCE), MAX_TOLERANCE)


def _boxes(pixels: np.ndarray, color: np.ndarray, tolerance: float) -> Iterator[_Box]:
    """Yield the boxes in an image [H, W, 3] around which all has one color [3], within a tolerance."""
    distances = color_distances(pixels, color)  # [H, W]
    is_content = distances > tolerance
    for rows, columns in (_spans(is_content), _spans(is_content.T)[::-1]):
        widths = np.array(
            [[rows.start, len(pixels) - rows.stop], [columns.start, pixels.shape[1] - columns.stop]]
        )  # [axis, side]
        if widths.any() and _is_box(is_content[rows, columns]) and _have_one_color(distances, rows, columns):
            yield _Box(rows, columns, widths)


def _inner_spans(pixels: np.ndarray, box: _Box) -> tuple[slice, slice]:
    """Return the rows and columns of a box's content without the lines that mix it with the bars."""
    inner = pixels[box.rows, box.columns]
    rows = _without_blur(np.median(inner, axis=1), box.rows, box.widths[0])
    return rows, _without_blur(np.median(inner, axis=0), box.columns, box.widths[1])


def _spans(is_content: np.ndarray) -> tuple[slice, slice]:
    """Return the rows of which most pixels are content, and the columns of which most are in these rows."""
    rows = _span(is_content.mean(axis=1))
    return rows, _span(is_content[rows].mean(axis=0)) if rows.stop else slice(0, 0)


def _span(shares: np.ndarray) -> slice:
    """Return the first to the last line of which most pixels are content."""
    lines = np.nonzero(shares > 0.5)[0]
    return slice(int(lines[0]), int(lines[-1]) + 1) if len(lines) else slice(0, 0)


def _have_one_color(distances: np.ndarray, rows: slice, columns: slice) -> bool:
    """Return whether the pixels around the content are of the bars' color, but for ringing beside it."""
    is_bar = np.ones(distances.shape, bool)
    near = [slice(max(span.start - _MAX_BLUR, 1), span.stop + _MAX_BLUR) for span in (rows, columns)]
    whole = [slice(0, count) for count in distances.shape]
    if rows.start == 0 and rows.stop == len(distances):
        near[0] = whole[0]
    if columns.start == 0 and columns.stop == distances.shape[1]:
        near[1] = whole[1]
    is_bar[tuple(near)] = False
    is_bar[rows, columns] = False
    return bool(np.mean(distances[is_bar] > MAX_TOLERANCE) <= _MAX_OUTLIERS) if is_bar.any() else True


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
    """Return a span without the first and last lines that differ from one further in, beside a bar.

    Args:
        lines: Median color of each line of the span, [N, 3].
        span: Rows or columns of the content.
        widths: [2] widths of the bars before and after it.
    """
    cuts = []
    for width, near in zip(widths, (lines, lines[::-1]), strict=True):
        further = near[min(_MAX_BLUR, len(near) - 1)]
        mixed = np.nonzero(color_distances(near[:_MAX_BLUR], further) > MIN_TOLERANCE / 2)[0]
        cuts.append(int(mixed[-1]) + 1 if width and len(mixed) else 0)
    return slice(span.start + cuts[0], span.stop - cuts[1])
