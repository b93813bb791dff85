"""Heads, legs, arms and tails for several body plans."""

from __future__ import annotations

from .builder import ToyBuilder
from .materials import Material, Palette
from .shapes import Vector

SIDES = (1, -1)  # the toy's left (+x), then its right
_TAIL_PARTS = 3


def head(
    toy: ToyBuilder, joint: int, palette: Palette, size: float, snouts: tuple[str, ...], tops: tuple[str, ...]
) -> None:
    """Add a head around a joint's origin, facing +z, with half extents of about ``size``."""
    random = toy.random
    width, height, depth = (
        size * random.uniform(0.95, 1.15),
        size * random.uniform(0.9, 1.05),
        size * random.uniform(0.9, 1.05),
    )
    boxy = random.chance(0.25)
    shrink = 0.85 if boxy else 1.0
    half = (width * shrink, height * shrink, depth * shrink)
    (toy.box if boxy else toy.ellipsoid)(joint, (0, 0, 0), half, palette.head)
    eyes(toy, joint, palette, half, boxy)
    snout(toy, joint, palette, half, random.pick(snouts))
    top(toy, joint, palette, half, random.pick(tops))


def eyes(toy: ToyBuilder, joint: int, palette: Palette, half: Vector, boxy: bool) -> None:
    """Add two eyes to the front of a head with the half extents ``half``."""
    white = 0.3 * half[0]
    reach = 0.97 if boxy else 0.8
    for side in SIDES:
        center = (side * 0.45 * half[0], 0.28 * half[1], reach * half[2])
        toy.ball(joint, center, white, palette.white)
        pupil = (center[0] + side * 0.1 * white, center[1], center[2] + 0.5 * white)
        toy.ball(joint, pupil, 0.62 * white, palette.dark)


def snout(toy: ToyBuilder, joint: int, palette: Palette, half: Vector, kind: str) -> None:
    """Add a snout of a kind to a head with the half extents ``half``."""
    x, y, z = half
    low = -0.3 * y
    if kind == "muzzle":
        toy.limb(joint, (0, low, 0.6 * z), (0, low - 0.05 * y, 1.35 * z), (0.5 * x, 0.38 * x), palette.limb)
        toy.ball(joint, (0, low + 0.2 * y, 1.35 * z + 0.36 * x), 0.15 * x, palette.dark)
    elif kind == "beak":
        tip = (0, low - 0.1 * y, 1.75 * z)
        toy.frustum(joint, (0, low, 0.7 * z), tip, (0.42 * x, 0.03 * x), palette.accent)
    elif kind == "trunk":
        bend = (0, low - 0.5 * y, 1.5 * z)
        toy.limb(joint, (0, low, 0.8 * z), bend, (0.36 * x, 0.3 * x), palette.limb)
        toy.limb(joint, bend, (0, low - 1.3 * y, 1.6 * z), (0.3 * x, 0.22 * x), palette.limb)
    elif kind == "nose":
        toy.ball(joint, (0, low, 1.02 * z), 0.26 * x, palette.accent)
    else:  # "plate": a flat wide mouth
        toy.box(joint, (0, 1.4 * low, 0.75 * z), (0.55 * x, 0.14 * y, 0.35 * z), palette.accent)


def top(toy: ToyBuilder, joint: int, palette: Palette, half: Vector, kind: str) -> None:
    """Add the top of a head: a hat, an antenna, a crest, or a pair of ears or horns with joints."""
    x, y, z = half
    if kind == "hat":
        toy.frustum(joint, (0, 0.78 * y, 0), (0, 0.92 * y, 0), (1.05 * x, 1.05 * x), palette.accent)
        toy.frustum(joint, (0, 0.9 * y, 0), (0, 1.75 * y, 0), (0.66 * x, 0.5 * x), palette.limb)
        return
    if kind == "antenna":
        toy.limb(joint, (0, 0.8 * y, 0), (0, 1.6 * y, 0), (0.11 * x, 0.1 * x), palette.dark)
        toy.ball(joint, (0, 1.7 * y, 0), 0.26 * x, palette.accent)
        return
    if kind == "crest":
        for step, height in enumerate((0.85, 1.0, 0.85)):
            place = (0, height * y, 0.45 * (1 - step) * z)
            toy.ellipsoid(joint, place, (0.14 * x, 0.4 * y, 0.3 * z), palette.accent)
        return
    for side in SIDES:
        ear = toy.joint("ear", joint, (side * 0.6 * x, 0.65 * y, -0.1 * z), (0, 0, -25 * side), side=side)
        if kind == "round":
            toy.ellipsoid(ear, (0, 0.3 * y, 0), (0.46 * x, 0.46 * y, 0.2 * z), palette.accent)
        elif kind == "long":
            toy.limb(ear, (0, 0, 0), (0, 1.25 * y, 0), (0.2 * x, 0.27 * x), palette.limb)
        elif kind == "horns":
            toy.frustum(ear, (0, 0, 0), (side * 0.3 * x, 0.8 * y, 0), (0.24 * x, 0.03 * x), palette.accent)
        else:  # "pointed"
            toy.frustum(ear, (0, -0.1 * y, 0), (0, 0.75 * y, 0), (0.4 * x, 0.03 * x), palette.accent)


def leg(
    toy: ToyBuilder,
    parent: int,
    palette: Palette,
    hip: Vector,
    length: float,
    radius: float,
    role: str = "hip",
    phase: float = 0.0,
) -> None:
    """Add a leg with a knee and a foot below a hip; the sign of the hip's x is its side."""
    side = 1 if hip[0] > 0 else -1
    thigh = toy.joint(role, parent, hip, phase=phase, side=side)
    knee_at = (0, -0.5 * length, 0)
    toy.limb(thigh, (0, 0, 0), knee_at, (1.15 * radius, radius), palette.limb)
    knee = toy.joint("knee", thigh, knee_at, phase=phase, side=side)
    toy.limb(knee, (0, 0, 0), knee_at, (radius, 0.9 * radius), palette.limb)
    foot = (0, -0.5 * length - 0.3 * radius, 0.35 * radius)
    toy.ellipsoid(knee, foot, (1.15 * radius, 0.7 * radius, 1.6 * radius), palette.accent)


def arm(
    toy: ToyBuilder,
    parent: int,
    palette: Palette,
    shoulder: Vector,
    length: float,
    radius: float,
    phase: float = 0.0,
) -> None:
    """Add an arm with an elbow and a hand below a shoulder; the sign of the shoulder's x is its side."""
    side = 1 if shoulder[0] > 0 else -1
    upper = toy.joint("shoulder", parent, shoulder, phase=phase, side=side)
    elbow_at = (0, -0.5 * length, 0)
    toy.limb(upper, (0, 0, 0), elbow_at, (1.1 * radius, radius), palette.limb)
    elbow = toy.joint("elbow", upper, elbow_at, phase=phase, side=side)
    toy.limb(elbow, (0, 0, 0), elbow_at, (radius, 0.85 * radius), palette.limb)
    toy.ball(elbow, (0, -0.5 * length - 0.4 * radius, 0), 1.35 * radius, palette.accent)


def tail(
    toy: ToyBuilder,
    parent: int,
    root: Vector,
    lift_deg: float,
    length: float,
    radius: float,
    materials: tuple[Material, Material],
) -> None:
    """Add a tapering tail along -z, raised by ``lift_deg``; its tip has the second material."""
    step, at, tilt = length / _TAIL_PARTS, root, (lift_deg, 0.0, 0.0)
    for segment in range(_TAIL_PARTS):
        parent = toy.joint("tail", parent, at, tilt, phase=-0.12 * segment)
        radii = (radius * (1 - 0.18 * segment), radius * (1 - 0.18 * (segment + 1)))
        at, tilt = (0, 0, -step), (0.3 * lift_deg, 0.0, 0.0)
        toy.limb(parent, (0, 0, 0), at, radii, materials[segment == _TAIL_PARTS - 1])
