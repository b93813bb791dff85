"""Body plans: functions that build each kind of toy, facing +z, in units of about half its length."""

from __future__ import annotations

from collections.abc import Callable

from .builder import ToyBuilder
from .materials import Palette
from .parts import SIDES, arm, head, leg, tail
from .shapes import Vector


def _root(toy: ToyBuilder, least_deg: float, most_deg: float) -> int:
    """Add the root joint, rotated about y to either side by an angle in [least, most) degrees."""
    turn_deg = toy.random.pick(SIDES) * toy.random.uniform(least_deg, most_deg)
    return toy.joint("body", -1, (0, 0, 0), (0, turn_deg, 0))


def _torso(toy: ToyBuilder, joint: int, half: Vector, palette: Palette) -> None:
    """Add an ellipsoid or, less often, a box as trunk."""
    x, y, z = half
    if toy.random.chance(0.3):
        toy.box(joint, (0, 0, 0), (0.85 * x, 0.85 * y, 0.9 * z), palette.body)
    else:
        toy.ellipsoid(joint, (0, 0, 0), (1.08 * x, 1.08 * y, 1.08 * z), palette.body)


def _quadruped(toy: ToyBuilder, palette: Palette) -> None:
    """Build a four-legged animal: trunk, neck, head with ears or horns, tail."""
    random = toy.random
    half = (random.uniform(0.36, 0.46), random.uniform(0.38, 0.5), random.uniform(0.6, 0.8))
    length, radius = random.uniform(0.5, 0.8), random.uniform(0.14, 0.19)
    body = _root(toy, 20, 75)
    _torso(toy, body, half, palette)
    for row, (z, role) in enumerate(((0.62, "front hip"), (-0.62, "hip"))):
        for side in SIDES:
            hip = (side * (half[0] - 0.9 * radius), -0.45 * half[1], z * half[2])
            leg(toy, body, palette, hip, length, radius, role, phase=0.5 * ((side > 0) ^ (row > 0)))
    rise = random.pick((0.15, 0.3, 0.75))
    neck = toy.joint("neck", body, (0, 0.45 * half[1], 0.7 * half[2]), (random.uniform(20, 45), 0, 0))
    toy.limb(neck, (0, 0, 0), (0, rise + 0.2, 0), (0.24, 0.2), palette.limb)
    skull = toy.joint("head", neck, (0, rise + 0.28, 0.05), (-25, 0, 0))
    head(
        toy,
        skull,
        palette,
        random.uniform(0.32, 0.42),
        ("muzzle", "muzzle", "trunk", "nose", "plate"),
        ("round", "pointed", "long", "horns", "crest"),
    )
    tail(
        toy,
        body,
        (0, 0.35 * half[1], -0.8 * half[2]),
        random.uniform(10, 50),
        random.uniform(0.4, 0.8),
        random.uniform(0.1, 0.15),
        (palette.body, palette.accent),
    )


def _biped(toy: ToyBuilder, palette: Palette) -> None:
    """Build an animal or doll on two legs, with arms and perhaps a tail."""
    random = toy.random
    half = (random.uniform(0.36, 0.5), random.uniform(0.45, 0.6), random.uniform(0.32, 0.42))
    length, radius = random.uniform(0.5, 0.75), random.uniform(0.14, 0.18)
    body = _root(toy, 0, 65)
    _torso(toy, body, half, palette)
    for side in SIDES:
        hip = (side * (0.95 * half[0] - radius), -0.65 * half[1], 0)
        leg(toy, body, palette, hip, length, 1.1 * radius, phase=0.25 * (1 + side))
        shoulder = (side * half[0] * 0.9, 0.5 * half[1], 0)
        arm(toy, body, palette, shoulder, random.uniform(0.62, 0.8), 0.85 * radius, phase=0.25 * (1 + side))
    skull = toy.joint("head", body, (0, half[1] + 0.3, 0.03))
    toy.limb(body, (0, 0.5 * half[1], 0), (0, half[1] + 0.2, 0), (0.2, 0.18), palette.limb)
    head(
        toy,
        skull,
        palette,
        random.uniform(0.38, 0.5),
        ("muzzle", "nose", "plate", "beak"),
        ("round", "pointed", "long", "hat", "antenna", "crest"),
    )
    if random.chance(0.5):
        tail(
            toy,
            body,
            (0, -0.5 * half[1], -0.7 * half[2]),
            random.uniform(-10, 30),
            0.8,
            0.2,
            (palette.body, palette.accent),
        )


def _bird(toy: ToyBuilder, palette: Palette) -> None:
    """Build a bird with two-part wings, a fan-shaped tail and a neck."""
    random = toy.random
    half = (random.uniform(0.36, 0.46), random.uniform(0.38, 0.48), random.uniform(0.5, 0.62))
    body = _root(toy, 0, 65)
    toy.ellipsoid(body, (0, 0, 0), half, palette.body, (random.uniform(-25, 0), 0, 0))
    for side in SIDES:
        leg(
            toy,
            body,
            palette,
            (side * 0.17, -0.6 * half[1], 0),
            random.uniform(0.4, 0.55),
            0.09,
            phase=0.25 * (1 + side),
        )
        wing = toy.joint("wing", body, (side * 0.75 * half[0], 0.3 * half[1], 0.05), side=side)
        span, chord = random.uniform(0.3, 0.36), random.uniform(0.28, 0.38)
        toy.ellipsoid(wing, (side * span, 0, 0), (1.2 * span, 0.09, chord), palette.limb)
        tip = toy.joint("wingtip", wing, (side * 1.9 * span, 0, -0.05), side=side)
        toy.ellipsoid(tip, (side * 0.8 * span, 0, 0), (1.05 * span, 0.07, 0.75 * chord), palette.accent)
    fan = toy.joint("tail", body, (0, 0.1, -0.8 * half[2]), (random.uniform(10, 35), 0, 0))
    for angle in (-28, 0, 28):
        toy.ellipsoid(fan, (-0.25 * angle / 28, 0, -0.28), (0.15, 0.06, 0.4), palette.limb, (0, angle, 0))
    neck = toy.joint("neck", body, (0, 0.6 * half[1], 0.5 * half[2]), (25, 0, 0))
    rise = random.pick((0.1, 0.25, 0.5))
    toy.limb(neck, (0, 0, 0), (0, rise + 0.1, 0), (0.2, 0.17), palette.body)
    skull = toy.joint("head", neck, (0, rise + 0.2, 0.03), (-25, 0, 0))
    head(toy, skull, palette, random.uniform(0.3, 0.38), ("beak",), ("crest", "hat", "pointed", "antenna"))


def _fish(toy: ToyBuilder, palette: Palette) -> None:
    """Build a fish whose spine bends at two joints."""
    random = toy.random
    height, width = random.uniform(0.45, 0.62), random.uniform(0.3, 0.4)
    body = _root(toy, 30, 85)
    toy.ellipsoid(body, (0, 0, 0.15), (width, height, 0.72), palette.body)
    toy.ellipsoid(body, (0, 0.9 * height, 0.0), (0.07, 0.32, 0.42), palette.limb, (-18, 0, 0))
    for side in SIDES:
        toy.ball(body, (side * 0.62 * width, 0.25 * height, 0.62), 0.13, palette.white)
        toy.ball(body, (side * 0.78 * width, 0.25 * height, 0.67), 0.08, palette.dark)
        root = (side * 0.85 * width, -0.25 * height, 0.2)
        fin = toy.joint("fin", body, root, (0, 25 * side, 0), side=side)
        toy.ellipsoid(fin, (side * 0.26, 0, -0.05), (0.32, 0.06, 0.2), palette.accent)
    toy.ellipsoid(body, (0, -0.12, 0.84), (0.16, 0.1, 0.1), palette.accent)
    middle = toy.joint("spine", body, (0, 0, -0.35), phase=-0.1)
    toy.limb(middle, (0, 0, 0.1), (0, 0, -0.42), (0.62 * height, 0.4 * width), palette.body)
    end = toy.joint("spine", middle, (0, 0, -0.42), phase=-0.25)
    for sign in (1, -1):
        toy.ellipsoid(end, (0, 0.24 * sign, -0.28), (0.08, 0.22, 0.44), palette.limb, (40 * sign, 0, 0))


def _serpent(toy: ToyBuilder, palette: Palette) -> None:
    """Build a snake or cobra: a chain of links and a raised neck."""
    random = toy.random
    radius, step = random.uniform(0.32, 0.4), random.uniform(0.34, 0.4)
    body = _root(toy, 30, 85)
    toy.ellipsoid(body, (0, 0, 0), (1.1 * radius, radius, 1.5 * radius), palette.body)
    joint, at = body, (0.0, 0.0, -0.15)
    count = random.pick((3, 4))
    for link in range(count):
        joint = toy.joint("spine", joint, at, (random.uniform(-3, 3), 0, 0), phase=-0.17 * (link + 1))
        radii = (radius * (1 - 0.13 * link), radius * (1 - 0.13 * (link + 1)))
        at = (0.0, 0.0, -step)
        toy.limb(joint, (0, 0, 0), at, radii, (palette.body, palette.limb)[link % 2])
    toy.frustum(joint, at, (0, 0.1, -step - 0.4), (radius * (1 - 0.13 * count), 0.03), palette.accent)
    rise, raised = random.uniform(0.5, 0.8), random.uniform(20, 40)
    neck = toy.joint("neck", body, (0, 0.1, 0.1), (raised, 0, 0))
    toy.limb(neck, (0, 0, 0), (0, rise, 0), (radius, 0.85 * radius), palette.limb)
    if random.chance(0.5):  # a cobra's hood
        toy.ellipsoid(neck, (0, rise, -0.08), (0.5, 0.42, 0.1), palette.body)
    skull = toy.joint("head", neck, (0, rise + 0.2, 0.1), (-raised, 0, 0))
    head(
        toy,
        skull,
        palette,
        random.uniform(0.34, 0.42),
        ("plate", "muzzle", "nose"),
        ("crest", "horns", "hat", "pointed"),
    )


def _vehicle(toy: ToyBuilder, palette: Palette) -> None:
    """Build a truck with four wheels and a crane, a rotor or a driver on its roof."""
    random = toy.random
    half = (random.uniform(0.42, 0.5), random.uniform(0.22, 0.3), random.uniform(0.75, 0.95))
    wheel = random.uniform(0.26, 0.34)
    body = _root(toy, 20, 80)
    toy.box(body, (0, 0, 0), half, palette.body)
    toy.box(body, (0, -0.6 * half[1], half[2]), (0.95 * half[0], 0.08, 0.08), palette.accent)
    for z in (0.62, -0.62):
        for side in SIDES:
            hub = toy.joint("wheel", body, (side * half[0], -half[1], z * half[2]), side=side)
            toy.frustum(hub, (-side * 0.1, 0, 0), (side * 0.16, 0, 0), (wheel, wheel), palette.dark)
            toy.frustum(hub, (0, 0, 0), (side * 0.2, 0, 0), (0.6 * wheel, 0.55 * wheel), palette.accent)
            toy.box(hub, (side * 0.17, 0, 0), (0.06, 0.8 * wheel, 0.16 * wheel), palette.white)
    for side in SIDES:
        toy.ball(body, (side * 0.6 * half[0], 0.1 * half[1], half[2]), 0.11, palette.white)
    cabin = random.uniform(0.28, 0.36)
    where = random.pick((0.3, -0.05))
    toy.box(body, (0, half[1] + cabin, where), (0.85 * half[0], cabin, 0.36), palette.limb)
    toy.box(body, (0, half[1] + 1.1 * cabin, where), (0.7 * half[0], 0.5 * cabin, 0.385), palette.dark)
    toy.box(body, (0, half[1] + 1.1 * cabin, where), (0.885 * half[0], 0.5 * cabin, 0.26), palette.dark)
    _VEHICLE_TOPS[random.pick(tuple(_VEHICLE_TOPS))](toy, body, palette, (half[1] + 2 * cabin, where))


def _crane(toy: ToyBuilder, body: int, palette: Palette, roof: tuple[float, float]) -> None:
    """Add a turret with a boom and a hammer on the roof, whose y and z are given."""
    turret = toy.joint("turret", body, (0, roof[0], roof[1]))
    toy.frustum(turret, (0, -0.03, 0), (0, 0.16, 0), (0.3, 0.24), palette.accent)
    boom = toy.joint("boom", turret, (0, 0.14, 0), (35, 0, 0))
    toy.limb(boom, (0, 0, 0), (0, 0.75, 0), (0.14, 0.11), palette.head)
    toy.box(boom, (0, 0.82, 0.05), (0.28, 0.12, 0.16), palette.accent)


def _rotor(toy: ToyBuilder, body: int, palette: Palette, roof: tuple[float, float]) -> None:
    """Add a rotor with four blades above the roof."""
    rotor = toy.joint("rotor", body, (0, roof[0], roof[1]))
    toy.frustum(rotor, (0, -0.05, 0), (0, 0.22, 0), (0.12, 0.09), palette.dark)
    toy.box(rotor, (0, 0.24, 0), (0.8, 0.05, 0.13), palette.accent)
    toy.box(rotor, (0, 0.24, 0), (0.13, 0.049, 0.8), palette.accent)


def _driver(toy: ToyBuilder, body: int, palette: Palette, roof: tuple[float, float]) -> None:
    """Add a big head on the roof."""
    skull = toy.joint("head", body, (0, roof[0] + 0.28, roof[1]))
    head(toy, skull, palette, 0.36, ("nose", "beak", "muzzle"), ("hat", "round", "pointed", "long"))


_VEHICLE_TOPS = {"crane": _crane, "rotor": _rotor, "driver": _driver}


def _robot(toy: ToyBuilder, palette: Palette) -> None:
    """Build a robot of boxes, with knees that do not bend."""
    random = toy.random
    half = (random.uniform(0.4, 0.52), random.uniform(0.42, 0.55), random.uniform(0.3, 0.4))
    body = _root(toy, 0, 65)
    toy.box(body, (0, 0, 0), half, palette.body)
    toy.frustum(body, (0, 0.1, half[2] - 0.05), (0, 0.1, half[2] + 0.06), (0.2, 0.16), palette.accent)
    for side in SIDES:
        phase = 0.25 * (1 + side)  # the sides take turns
        hip = toy.joint("hip", body, (side * 0.5 * half[0], 0.08 - half[1], 0), phase=phase, side=side)
        toy.box(hip, (0, -0.3, 0), (0.16, 0.34, 0.17), palette.limb)
        toy.box(hip, (0, -0.66, 0.08), (0.2, 0.1, 0.3), palette.accent)
        place = (side * (half[0] + 0.1), 0.6 * half[1], 0)
        shoulder = toy.joint("shoulder", body, place, phase=phase, side=side)
        toy.ball(shoulder, (0, 0, 0), 0.19, palette.accent)
        toy.frustum(shoulder, (0, 0, 0), (0, -0.42, 0), (0.12, 0.12), palette.limb)
        elbow = toy.joint("elbow", shoulder, (0, -0.42, 0), phase=phase, side=side)
        toy.box(elbow, (0, -0.2, 0), (0.14, 0.26, 0.14), palette.head)
    skull = toy.joint("head", body, (0, half[1] + 0.34, 0))
    toy.frustum(body, (0, half[1] - 0.05, 0), (0, half[1] + 0.3, 0), (0.18, 0.18), palette.dark)
    head(
        toy,
        skull,
        palette,
        random.uniform(0.36, 0.46),
        ("plate", "nose"),
        ("antenna", "round", "hat", "horns"),
    )


PLANS: dict[str, tuple[Callable[[ToyBuilder, Palette], None], tuple[str, ...]]] = {
    "quadruped": (_quadruped, ("walk", "wave", "nod", "hop", "turn")),
    "biped": (_biped, ("walk", "wave", "nod", "hop", "turn")),
    "bird": (_bird, ("flap", "flap", "walk", "hop", "turn")),
    "fish": (_fish, ("swim", "flap", "turn")),
    "serpent": (_serpent, ("swim", "nod", "turn")),
    "vehicle": (_vehicle, ("drive",)),
    "robot": (_robot, ("walk", "wave", "nod", "hop", "turn")),
}
"""Body plan to the function that builds it and the kinds of motion that it may have."""

FAST_MOTIONS_OF_PLAN: dict[str, tuple[str, ...]] = {
    "quadruped": ("run", "run", "jump", "spin"),
    "biped": ("run", "jump", "spin"),
    "bird": ("flap", "run", "jump", "spin"),
    "fish": ("swim", "flap", "spin"),
    "serpent": ("swim", "spin"),
    "vehicle": ("spin",),
    "robot": ("run", "jump", "spin"),
}
"""Body plan to the kinds of fast motion that it may have."""
