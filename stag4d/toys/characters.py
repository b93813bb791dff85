"""The cast: characters of fixed shape, in new colors, patterns and proportions for every seed, facing +z.

What one view hides follows from what it shows: a character always has the same parts, its sides are mirror
images, and the pattern of its trunk is defined in the trunk's coordinates and continues around it.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from functools import partial

from .builder import ToyBuilder
from .materials import Material, Palette
from .parts import SIDES, arm, eyes, leg, snout, tail, top
from .seeded_random import SeededRandom
from .shapes import Vector

_TURN_DEG = (22.0, 38.0)  # of the root about y, to either side: the face shows from the input camera

# Patterns of the trunk, all of them symmetric in x: kind, axis, period and phase.
_TRUNK_PATTERNS = (
    Material((0, 0, 0), pattern="stripes", axis=(0.0, 0.0, 1.0), cell=0.55, phase=0.25),
    Material((0, 0, 0), pattern="stripes", axis=(0.0, 1.0, 0.0), cell=0.5, phase=0.25),
    Material((0, 0, 0), pattern="two_tone", axis=(0.0, 1.0, 0.0)),
    Material((0, 0, 0), pattern="two_tone", axis=(0.0, 0.0, 1.0)),
    Material((0, 0, 0), pattern="checks", cell=0.7, phase=0.25),
    Material((0, 0, 0), pattern="spots", cell=0.5, phase=0.5),
)


def dress(random: SeededRandom) -> Palette:
    """Return the colors of a character and the pattern of its trunk.

    Trunk and head have the first color, limbs and the pattern the second, and feet, ears and tips the third.
    """
    hue = random.uniform(0, 1)
    is_first_bright = random.chance(0.5)
    first = _color(random, hue, is_first_bright)
    second = _color(random, hue + random.uniform(0.35, 0.65), not is_first_bright)
    third = _color(random, hue + random.pick((0.2, 0.8)), random.chance(0.5))
    pattern = random.pick(_TRUNK_PATTERNS)
    return Palette(
        body=Material(first, second, pattern.pattern, pattern.axis, pattern.cell, pattern.phase),
        head=Material(first),
        limb=Material(second),
        accent=Material(third),
        dark=Material((0.16, 0.14, 0.2)),
    )


def _color(random: SeededRandom, hue: float, is_bright: bool) -> Vector:
    """Return a soft bright or dark RGB color of a hue in turns."""
    value = random.uniform(0.88, 1.0) if is_bright else random.uniform(0.55, 0.75)
    return colorsys.hsv_to_rgb(hue % 1, random.uniform(0.45, 0.7), value)


def _root(toy: ToyBuilder) -> int:
    turn_deg = toy.random.pick(SIDES) * toy.random.uniform(*_TURN_DEG)
    return toy.joint("body", -1, (0, 0, 0), (0, turn_deg, 0))


def _proportions(toy: ToyBuilder) -> tuple[float, float, float]:
    """Return factors of width, limb length and head size."""
    random = toy.random
    return random.uniform(0.95, 1.05), random.uniform(0.94, 1.06), random.uniform(0.95, 1.05)


def _face(
    toy: ToyBuilder, joint: int, palette: Palette, half: Vector, snout_kind: str, top_kind: str, boxy: bool
) -> None:
    """Add a head with the half extents ``half`` around a joint's origin."""
    (toy.box if boxy else toy.ellipsoid)(joint, (0, 0, 0), half, palette.head)
    eyes(toy, joint, palette, half, boxy)
    snout(toy, joint, palette, half, snout_kind)
    top(toy, joint, palette, half, top_kind)


def _four_legged(
    toy: ToyBuilder,
    palette: Palette,
    *,
    half: Vector,
    leg_size: tuple[float, float],
    rise: float,
    skull: float,
    snout_kind: str,
    top_kind: str,
    tail_size: tuple[float, float, float],
) -> None:
    """Build an animal on four legs.

    Args:
        toy: Receives the parts.
        palette: Its materials.
        half: Half axes of the trunk.
        leg_size: Length and radius of the legs.
        rise: Length of the neck.
        skull: Half height of the head.
        snout_kind: See ``parts.snout``.
        top_kind: See ``parts.top``.
        tail_size: Length, radius and lift in degrees of the tail.
    """
    width, length, size = _proportions(toy)
    half = (half[0] * width, half[1], half[2])
    radius, skull = leg_size[1] * width, skull * size
    body = _root(toy)
    toy.ellipsoid(body, (0, 0, 0), half, palette.body)
    for row, (z, role) in enumerate(((0.6, "front hip"), (-0.6, "hip"))):
        for side in SIDES:
            hip = (side * (half[0] - 1.1 * radius), -0.45 * half[1], z * half[2])
            phase = 0.5 * ((side > 0) ^ (row > 0))
            leg(toy, body, palette, hip, leg_size[0] * length, radius, role, phase=phase)
    neck = toy.joint("neck", body, (0, 0.4 * half[1], 0.72 * half[2]), (35, 0, 0))
    toy.limb(neck, (0, 0, 0), (0, rise + 0.2, 0), (0.6 * skull, 0.5 * skull), palette.limb)
    joint = toy.joint("head", neck, (0, rise + 0.28, 0.05), (-28, 0, 0))
    _face(toy, joint, palette, (1.05 * skull, skull, skull), snout_kind, top_kind, boxy=False)
    reach, thickness, lift_deg = tail_size
    root = (0, 0.35 * half[1], -0.82 * half[2])
    tail(toy, body, root, lift_deg, reach, thickness, (palette.limb, palette.accent))


def _upright(
    toy: ToyBuilder,
    palette: Palette,
    *,
    half: Vector,
    limb_size: tuple[float, float],
    skull: float,
    snout_kind: str,
    top_kind: str,
    tail_size: tuple[float, float, float] | None = None,
    boxy: bool = False,
) -> None:
    """Build a character on two legs, with arms; ``boxy`` ones are made of boxes. See ``_four_legged``."""
    width, length, size = _proportions(toy)
    half = (half[0] * width, half[1], half[2] * width)
    skull, radius = skull * size, limb_size[1] * width
    body = _root(toy)
    (toy.box if boxy else toy.ellipsoid)(body, (0, 0, 0), half, palette.body)
    for side in SIDES:
        phase = 0.25 * (1 + side)
        hip = (side * (0.9 * half[0] - radius), -0.65 * half[1], 0)
        leg(toy, body, palette, hip, limb_size[0] * length, 1.15 * radius, phase=phase)
        shoulder = (side * half[0] * (1.05 if boxy else 0.9), 0.5 * half[1], 0)
        arm(toy, body, palette, shoulder, 1.1 * limb_size[0] * length, 0.9 * radius, phase=phase)
    toy.limb(body, (0, 0.5 * half[1], 0), (0, half[1] + 0.2, 0), (0.2, 0.18), palette.limb)
    joint = toy.joint("head", body, (0, half[1] + 0.65 * skull, 0.03))
    _face(toy, joint, palette, (1.08 * skull, 0.95 * skull, skull), snout_kind, top_kind, boxy)
    if tail_size is not None:
        reach, thickness, lift_deg = tail_size
        root = (0, -0.5 * half[1], -0.75 * half[2])
        tail(toy, body, root, lift_deg, reach, thickness, (palette.limb, palette.accent))


def _parrot(toy: ToyBuilder, palette: Palette) -> None:
    """Build a bird with two-part wings, a fan-shaped tail, a beak and a crest."""
    width, length, size = _proportions(toy)
    half = (0.42 * width, 0.44, 0.58)
    body = _root(toy)
    toy.ellipsoid(body, (0, 0, 0), half, palette.body, (-15, 0, 0))
    span, chord = 0.34 * length, 0.34
    for side in SIDES:
        hip = (side * 0.18, -0.6 * half[1], 0)
        leg(toy, body, palette, hip, 0.48 * length, 0.1, phase=0.25 * (1 + side))
        wing = toy.joint("wing", body, (side * 0.75 * half[0], 0.3 * half[1], 0.05), side=side)
        toy.ellipsoid(wing, (side * span, 0, 0), (1.2 * span, 0.1, chord), palette.limb)
        tip = toy.joint("wingtip", wing, (side * 1.9 * span, 0, -0.05), side=side)
        toy.ellipsoid(tip, (side * 0.8 * span, 0, 0), (1.05 * span, 0.08, 0.75 * chord), palette.accent)
    fan = toy.joint("tail", body, (0, 0.1, -0.8 * half[2]), (22, 0, 0))
    for angle in (-28, 0, 28):
        toy.ellipsoid(fan, (-0.25 * angle / 28, 0, -0.28), (0.16, 0.07, 0.4), palette.limb, (0, angle, 0))
    skull = 0.37 * size
    neck = toy.joint("neck", body, (0, 0.6 * half[1], 0.5 * half[2]), (25, 0, 0))
    toy.limb(neck, (0, 0, 0), (0, 0.25, 0), (0.24, 0.2), palette.limb)
    joint = toy.joint("head", neck, (0, 0.36, 0.03), (-25, 0, 0))
    _face(toy, joint, palette, (skull, skull, skull), "beak", "crest", boxy=False)


def _goldfish(toy: ToyBuilder, palette: Palette) -> None:
    """Build a fish whose spine bends at two joints."""
    width, length, size = _proportions(toy)
    height, width = 0.54 * size, 0.36 * width
    body = _root(toy)
    toy.ellipsoid(body, (0, 0, 0.15), (width, height, 0.72), palette.body)
    toy.ellipsoid(body, (0, 0.9 * height, 0.0), (0.08, 0.32 * length, 0.42), palette.limb, (-18, 0, 0))
    eyes(toy, body, palette, (1.25 * width, 0.9 * height, 0.82), boxy=False)
    for side in SIDES:
        root = (side * 0.85 * width, -0.25 * height, 0.2)
        fin = toy.joint("fin", body, root, (0, 25 * side, 0), side=side)
        toy.ellipsoid(fin, (side * 0.28, 0, -0.05), (0.34, 0.07, 0.22), palette.accent)
    toy.ellipsoid(body, (0, -0.12, 0.84), (0.17, 0.11, 0.1), palette.accent)
    middle = toy.joint("spine", body, (0, 0, -0.35), phase=-0.1)
    toy.limb(middle, (0, 0, 0.1), (0, 0, -0.42), (0.62 * height, 0.4 * width), palette.head)
    end = toy.joint("spine", middle, (0, 0, -0.42), phase=-0.25)
    for sign in (1, -1):
        center = (0, 0.24 * sign * length, -0.28)
        toy.ellipsoid(end, center, (0.08, 0.22, 0.44 * length), palette.limb, (40 * sign, 0, 0))


_ANIMAL = ("walk", "nod", "hop")
_DOLL = ("walk", "wave", "nod", "hop")

CHARACTERS: dict[str, tuple[Callable[[ToyBuilder, Palette], None], tuple[str, ...]]] = {
    "fox": (
        partial(
            _four_legged,
            half=(0.38, 0.38, 0.66),
            leg_size=(0.6, 0.14),
            rise=0.2,
            skull=0.36,
            snout_kind="muzzle",
            top_kind="pointed",
            tail_size=(0.95, 0.22, 35),
        ),
        _ANIMAL,
    ),
    "elephant": (
        partial(
            _four_legged,
            half=(0.5, 0.52, 0.68),
            leg_size=(0.6, 0.2),
            rise=0.02,
            skull=0.42,
            snout_kind="trunk",
            top_kind="round",
            tail_size=(0.5, 0.09, -35),
        ),
        ("walk", "nod", "wave"),
    ),
    "goat": (
        partial(
            _four_legged,
            half=(0.4, 0.44, 0.62),
            leg_size=(0.78, 0.13),
            rise=0.4,
            skull=0.32,
            snout_kind="muzzle",
            top_kind="horns",
            tail_size=(0.34, 0.12, 45),
        ),
        _ANIMAL,
    ),
    "dinosaur": (
        partial(
            _four_legged,
            half=(0.42, 0.46, 0.7),
            leg_size=(0.5, 0.17),
            rise=0.85,
            skull=0.3,
            snout_kind="plate",
            top_kind="crest",
            tail_size=(1.0, 0.26, 5),
        ),
        _ANIMAL,
    ),
    "bear": (
        partial(
            _upright,
            half=(0.5, 0.56, 0.44),
            limb_size=(0.58, 0.19),
            skull=0.44,
            snout_kind="muzzle",
            top_kind="round",
            tail_size=(0.24, 0.16, 20),
        ),
        _DOLL,
    ),
    "rabbit": (
        partial(
            _upright,
            half=(0.38, 0.48, 0.36),
            limb_size=(0.56, 0.14),
            skull=0.4,
            snout_kind="nose",
            top_kind="long",
            tail_size=(0.22, 0.17, 25),
        ),
        _DOLL,
    ),
    "gnome": (
        partial(
            _upright,
            half=(0.46, 0.5, 0.42),
            limb_size=(0.5, 0.15),
            skull=0.42,
            snout_kind="nose",
            top_kind="hat",
        ),
        _DOLL,
    ),
    "android": (
        partial(
            _upright,
            half=(0.44, 0.48, 0.32),
            limb_size=(0.66, 0.15),
            skull=0.38,
            snout_kind="plate",
            top_kind="antenna",
            boxy=True,
        ),
        _DOLL,
    ),
    "parrot": (_parrot, ("flap", "walk", "hop")),
    "goldfish": (_goldfish, ("swim", "flap")),
}
"""Name of a character to the function that builds it and the kinds of motion that it may have."""
