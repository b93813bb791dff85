"""The color of a plain background: one color, or a smooth surface where the light falls off.

A vignette, a gradient of the wall or uneven light is a polynomial of low degree in the pixel position, fitted
robustly: first to the image border, then to all pixels that turn out to be background.
"""

from __future__ import annotations

import numpy as np

from .components import connected_to_border

# Chosen by us for 8-bit images that may have been through JPEG or a video codec.
MIN_TOLERANCE = 8 / 255  # color distance up to which a pixel is background, on a border without noise
MAX_TOLERANCE = 24 / 255  # the same on the noisiest border
_NOISE_FACTOR = 4.0  # tolerance over the median color distance of the border pixels
_PLAIN_SHARE = 0.7  # of the border pixels must be background; the object may touch the others
_MIN_RANGE = 6 / 255  # of the surface along the border; below that, one color fits as well
_DEGREES = (2, 3, 4, 4, 4)  # of the polynomial in each round; extrapolation is safer with low ones
_WIDER = (3.0, 2.0, 1.5, 1.0, 1.0)  # the tolerance in each round; the first polynomials fit less well
_MIN_SIDE = 32  # pixels; in a smaller image a polynomial fits anything
_GRID = 96  # pixels on the shorter side of the grid of samples, at least
_ROBUST_ROUNDS = 12  # of iteratively reweighted least squares
_TINY = 1e-3  # residual at which the weight of an exact pixel stops growing


def border_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of an image [H, W, C], each once, [2 (H + W) - 4, C]."""
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])


def median_color(colors: np.ndarray) -> np.ndarray:
    """Return the median [3] of each channel of colors [N, 3]; outliers do not move it."""
    return np.median(colors, axis=0)


def color_distances(colors: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the largest absolute difference over the channels of colors [..., 3], [...]."""
    # Channel by channel, which is several times faster than a reduction of the last axis.
    red, green, blue = (np.abs(colors[..., channel] - background[..., channel]) for channel in range(3))
    return np.maximum(np.maximum(red, green), blue)


def background_of(pixels: np.ndarray, *, may_vary: bool = True) -> tuple[np.ndarray, float]:
    """Return the background of an image, and the color distance up to which a pixel belongs to it.

    Args:
        pixels: [H, W, 3].
        may_vary: Whether a smooth surface is tried.

    Returns:
        The background color [3], or [H, W, 3] where it varies along the border; and the tolerance.

    Raises:
        ValueError: if less than 70 % of the border is background.
    """
    color = median_color(border_pixels(pixels))
    tolerance, share = _tolerance_and_share(pixels, color)
    surface = _fit_surface(pixels) if may_vary and min(pixels.shape[:2]) >= _MIN_SIDE else None
    if surface is not None:
        own_tolerance = _surface_tolerance(pixels)
        deviations = color_distances(border_pixels(pixels), border_pixels(surface))
        if np.mean(deviations <= own_tolerance) >= _PLAIN_SHARE:
            return surface, own_tolerance
    if share < _PLAIN_SHARE:
        raise ValueError(
            f"plain background: {share:.0%} of the border has one color; expected at least "
            f"{_PLAIN_SHARE:.0%}, evenly or smoothly lit."
        )
    return color, tolerance


def _tolerance_and_share(pixels: np.ndarray, background: np.ndarray) -> tuple[float, float]:
    """Return the tolerance around a background color [3], and the share of the border within it."""
    deviations = color_distances(border_pixels(pixels), background)
    noise = float(np.median(deviations))  # the median, since part of the border may be object
    tolerance = min(max(_NOISE_FACTOR * noise, MIN_TOLERANCE), MAX_TOLERANCE)
    return tolerance, float(np.mean(deviations <= tolerance))


def _surface_tolerance(pixels: np.ndarray) -> float:
    """Return the tolerance around a smooth surface, from the noise between neighboring pixels of the border.

    The deviations from the surface itself would let any image pass for smooth but noisy.
    """
    lines = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    steps = np.concatenate([color_distances(line[1:], line[:-1]) for line in lines])
    noise = float(np.median(steps)) / np.sqrt(2)  # a difference of two pixels has the noise of both
    return min(max(_NOISE_FACTOR * noise, MIN_TOLERANCE), MAX_TOLERANCE)


def _fit_surface(pixels: np.ndarray) -> np.ndarray | None:
    """Return the smooth surface [H, W, 3] through the background, or None if its border is of one color."""
    height, width = pixels.shape[:2]
    rows = np.unique(np.linspace(0, height - 1, min(height, _GRID)).round().astype(int))
    columns = np.unique(np.linspace(0, width - 1, min(width, _GRID)).round().astype(int))
    y, x = _positions(rows, height), _positions(columns, width)
    samples = pixels[np.ix_(rows, columns)].astype(np.float64)  # [h, w, 3]
    is_border = np.zeros(samples.shape[:2], bool)
    is_border[[0, -1]] = is_border[:, [0, -1]] = True
    coefficients = _fit_polynomial(x, y, samples, is_border, _DEGREES[0])
    along_border = _evaluate(coefficients, x, y)[is_border]
    if np.ptp(along_border, axis=0).max() < _MIN_RANGE:
        return None
    tolerance = _surface_tolerance(pixels)
    for degree, factor in zip(_DEGREES, _WIDER, strict=True):
        surface = _evaluate(coefficients, x, y)  # [h, w, 3]
        is_background = connected_to_border(color_distances(samples, surface) <= factor * tolerance)
        if (is_background & is_border).sum() < _PLAIN_SHARE * is_border.sum():
            return None  # a surface that leaves out more of the border would be extrapolated
        coefficients = _fit_polynomial(x, y, samples, is_background, degree)
    every_x, every_y = _positions(np.arange(width), width), _positions(np.arange(height), height)
    return _evaluate(coefficients, every_x, every_y).astype(np.float32)


def _positions(indices: np.ndarray, count: int) -> np.ndarray:
    """Return pixel indices along an axis as positions from -1 to 1."""
    return 2 * indices / (count - 1) - 1


def _powers(degree: int) -> list[tuple[int, int]]:
    """Return the exponents of y and x of a polynomial's terms up to a total degree."""
    return [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]


def _fit_polynomial(
    x: np.ndarray, y: np.ndarray, samples: np.ndarray, mask: np.ndarray, degree: int
) -> np.ndarray:
    """Fit a polynomial of the position to the colors of masked samples, by least absolute deviations.

    Iteratively reweighted least squares with the weights ``1 / max(residual, tiny)``; a sample's residual is
    the largest of its channels, so that a part of the object on the border is an outlier in all of them.

    Returns:
        Coefficients [degree + 1, degree + 1, 3] of y^i x^j.
    """
    rows, columns = np.nonzero(mask)
    powers = _powers(degree)
    terms = np.stack([y[rows] ** i * x[columns] ** j for i, j in powers], axis=1)  # [N, K]
    colors = samples[rows, columns]  # [N, 3]
    weights = np.ones(len(rows))
    for _ in range(_ROBUST_ROUNDS):
        roots = np.sqrt(weights)[:, None]
        solution = np.linalg.lstsq(terms * roots, colors * roots, rcond=None)[0]  # [K, 3]
        weights = 1 / np.maximum(color_distances(colors, terms @ solution), _TINY)
    coefficients = np.zeros((degree + 1, degree + 1, 3))
    for (i, j), value in zip(powers, solution, strict=True):
        coefficients[i, j] = value
    return coefficients


def _evaluate(coefficients: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the polynomial's colors on a grid, [len(y), len(x), 3]."""
    degree = len(coefficients) - 1
    in_x, in_y = np.vander(x, degree + 1, increasing=True), np.vander(y, degree + 1, increasing=True)
    return np.stack([in_y @ coefficients[..., channel] @ in_x.T for channel in range(3)], axis=-1)
