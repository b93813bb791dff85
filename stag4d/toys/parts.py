"""Heads, legs, arms and tails that several body plans share."""

from __future__ import annotations

from .paint import Coat, Wardrobe
from .shapes import Vector
from .sketch import Sketch

SIDES = (1, -1)  # the toy's left (+x), then its right
_TAIL_PARTS = 3


def head(
    sketch: Sketch, joint: int, wear: Wardrobe, size: float, snouts: tuple[str, ...], tops: tuple[str, ...]
) -> None:
    """Add a head around a joint's origin, looking along +z, about ``size`` in half extent."""
    random = sketch.random
    width, height, depth = (
        size * random.uniform(0.95, 1.15), size * random.uniform(0.9, 1.05), size * random.uniform(0.9, 1.05)
    )  # fmt: skip
    boxy = random.chance(0.25)
    shrink = 0.85 if boxy else 1.0
    half = (width * shrink, height * shrink, depth * shrink)
    (sketch.box if boxy else sketch.ellipsoid)(joint, (0, 0, 0), half, wear.head)
    _eyes(sketch, joint, wear, half, boxy)
    _snout(sketch, joint, wear, half, random.pick(snouts))
    _top(sketch, joint, wear, half, random.pick(tops))


def _eyes(sketch: Sketch, joint: int, wear: Wardrobe, half: Vector, boxy: bool) -> None:
    """Add two eyes that stand out of the front of a head with these half extents."""
    white = 0.3 * half[0]
    reach = 0.97 if boxy else 0.8
    for side in SIDES:
        center = (side * 0.45 * half[0], 0.28 * half[1], reach * half[2])
        sketch.ball(joint, center, white, wear.white)
        pupil = (center[0] + side * 0.1 * white, center[1], center[2] + 0.5 * white)
        sketch.ball(joint, pupil, 0.62 * white, wear.dark)


def _snout(sketch: Sketch, joint: int, wear: Wardrobe, half: Vector, kind: str) -> None:
    """Add what a head has below its eyes."""
    x, y, z = half
    low = -0.3 * y
    if kind == "muzzle":
        sketch.limb(joint, (0, low, 0.6 * z), (0, low - 0.05 * y, 1.35 * z), (0.5 * x, 0.38 * x), wear.limb)
        sketch.ball(joint, (0, low + 0.2 * y, 1.35 * z + 0.36 * x), 0.15 * x, wear.dark)
    elif kind == "beak":
        tip = (0, low - 0.1 * y, 1.75 * z)
        sketch.frustum(joint, (0, low, 0.7 * z), tip, (0.42 * x, 0.03 * x), wear.accent)
    elif kind == "trunk":
        bend = (0, low - 0.5 * y, 1.5 * z)
        sketch.limb(joint, (0, low, 0.8 * z), bend, (0.36 * x, 0.3 * x), wear.limb)
        sketch.limb(joint, bend, (0, low - 1.3 * y, 1.6 * z), (0.3 * x, 0.22 * x), wear.limb)
    elif kind == "nose":
        sketch.ball(joint, (0, low, 1.02 * z), 0.26 * x, wear.accent)
    else:  # "plate": a flat wide mouth
        sketch.box(joint, (0, 1.4 * low, 0.75 * z), (0.55 * x, 0.14 * y, 0.35 * z), wear.accent)


def _top(sketch: Sketch, joint: int, wear: Wardrobe, half: Vector, kind: str) -> None:
    """Add what a head has on top: a hat, an antenna, a crest, or a pair of ears or horns with joints."""
    x, y, z = half
    if kind == "hat":
        sketch.frustum(joint, (0, 0.78 * y, 0), (0, 0.92 * y, 0), (1.05 * x, 1.05 * x), wear.accent)
        sketch.frustum(joint, (0, 0.9 * y, 0), (0, 1.75 * y, 0), (0.66 * x, 0.5 * x), wear.limb)
        return
    if kind == "antenna":
        sketch.limb(joint, (0, 0.8 * y, 0), (0, 1.6 * y, 0), (0.11 * x, 0.1 * x), wear.dark)
        sketch.ball(joint, (0, 1.7 * y, 0), 0.26 * x, wear.accent)
        return
    if kind == "crest":
        for step, height in enumerate((0.85, 1.0, 0.85)):
            place = (0, height * y, 0.45 * (1 - step) * z)
            sketch.ellipsoid(joint, place, (0.14 * x, 0.4 * y, 0.3 * z), wear.accent)
        return
    for side in SIDES:
        ear = sketch.joint("ear", joint, (side * 0.6 * x, 0.65 * y, -0.1 * z), (0, 0, -25 * side), side=side)
        if kind == "round":
            sketch.ellipsoid(ear, (0, 0.3 * y, 0), (0.46 * x, 0.46 * y, 0.2 * z), wear.accent)
        elif kind == "long":
            sketch.limb(ear, (0, 0, 0), (0, 1.25 * y, 0), (0.2 * x, 0.27 * x), wear.limb)
        elif kind == "horns":
            sketch.frustum(ear, (0, 0, 0), (side * 0.3 * x, 0.8 * y, 0), (0.24 * x, 0.03 * x), wear.accent)
        else:  # "pointed"
            sketch.frustum(ear, (0, -0.1 * y, 0), (0, 0.75 * y, 0), (0.4 * x, 0.03 * x), wear.accent)


def leg(
    sketch: Sketch,
    parent: int,
    wear: Wardrobe,
    hip: Vector,
    length: float,
    radius: float,
    role: str = "hip",
    phase: float = 0.0,
) -> None:
    """Add a leg with a knee and a foot, hanging from a hip; its side is that of the hip's x."""
    side = 1 if hip[0] > 0 else -1
    thigh = sketch.joint(role, parent, hip, phase=phase, side=side)
    knee_at = (0, -0.5 * length, 0)
    sketch.limb(thigh, (0, 0, 0), knee_at, (1.15 * radius, radius), wear.limb)
    knee = sketch.joint("knee", thigh, knee_at, phase=phase, side=side)
    sketch.limb(knee, (0, 0, 0), knee_at, (radius, 0.9 * radius), wear.limb)
    foot = (0, -0.5 * length - 0.3 * radius, 0.35 * radius)
    sketch.ellipsoid(knee, foot, (1.15 * radius, 0.7 * radius, 1.6 * radius), wear.accent)


def arm(
    sketch: Sketch,
    parent: int,
    wear: Wardrobe,
    shoulder: Vector,
    length: float,
    radius: float,
    phase: float = 0.0,
) -> None:
    """Add an arm with an elbow and a hand, hanging from a shoulder; its side is that of the shoulder's x."""
    side = 1 if shoulder[0] > 0 else -1
    upper = sketch.joint("shoulder", parent, shoulder, phase=phase, side=side)
    elbow_at = (0, -0.5 * length, 0)
    sketch.limb(upper, (0, 0, 0), elbow_at, (1.1 * radius, radius), wear.limb)
    elbow = sketch.joint("elbow", upper, elbow_at, phase=phase, side=side)
    sketch.limb(elbow, (0, 0, 0), elbow_at, (radius, 0.85 * radius), wear.limb)
    sketch.ball(elbow, (0, -0.5 * length - 0.4 * radius, 0), 1.35 * radius, wear.accent)


def tail(
    sketch: Sketch,
    parent: int,
    root: Vector,
    lift_deg: float,
    length: float,
    radius: float,
    coats: tuple[Coat, Coat],
) -> None:
    """Add a tapering tail along -z, raised by ``lift_deg``, the tip in the second coat."""
    step, at, tilt = length / _TAIL_PARTS, root, (lift_deg, 0.0, 0.0)
    for segment in range(_TAIL_PARTS):
        parent = sketch.joint("tail", parent, at, tilt, phase=-0.12 * segment)
        radii = (radius * (1 - 0.18 * segment), radius * (1 - 0.18 * (segment + 1)))
        at, tilt = (0, 0, -step), (0.3 * lift_deg, 0.0, 0.0)
        sketch.limb(parent, (0, 0, 0), at, radii, coats[segment == _TAIL_PARTS - 1])
