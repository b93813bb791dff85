"""Kinds of motion: the rotations over time that each applies to joints, selected by their role.

Rotations about y and z are mirrored on the toy's right side, rotations about x are not. Roles that a kind of
motion does not list keep their idle motion.
"""

from __future__ import annotations

from dataclasses import dataclass

from .seeded_random import SeededRandom
from .shapes import Vector
from .skeleton import Joint, Swing

_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Move:
    """A ``Swing`` relative to the toy's base frequency: ``tempo`` multiplies it; ``phase`` in cycles."""

    axis: Vector
    amplitude_deg: float
    bias_deg: float = 0.0
    phase: float = 0.0
    tempo: float = 1.0
    spin_deg: float = 0.0


_IDLE = {
    "tail": (Move(_Y, 26),),
    "head": (Move(_X, 7), Move(_Y, 9, phase=0.3)),
    "shoulder": (Move(_Z, 8, 18), Move(_X, 12)),
    "wing": (Move(_Z, 14, -10),),
    "fin": (Move(_Z, 16, -15),),
    "spine": (Move(_Y, 12),),
    "rotor": (Move(_Y, 0, spin_deg=200),),
    "wheel": (Move(_X, 0, spin_deg=220),),
    "boom": (Move(_X, 14),),
    "turret": (Move(_Y, 18),),
    "ear": (Move(_Z, 9),),
}
_WALK_LEGS = {"hip": (Move(_X, 34),), "knee": (Move(_X, 24, 24, phase=0.3),)}

MOTIONS: dict[str, dict[str, tuple[Move, ...]]] = {
    "walk": {
        **_WALK_LEGS,
        "body": (Move(_Z, 4), Move(_Y, 7)),
        "shoulder": (Move(_Z, 0, 14), Move(_X, 40, phase=0.5)),
        "elbow": (Move(_X, 14, -30),),
        "neck": (Move(_X, 7, tempo=2),),
    },
    "wave": {
        "lead shoulder": (Move(_Z, 26, 128),),
        "lead elbow": (Move(_Z, 28, 20, phase=-0.15),),
        "lead front hip": (Move(_X, 24, -72),),
        "body": (Move(_Z, 7),),
        "head": (Move(_Z, 14),),
    },
    "nod": {
        "neck": (Move(_X, 16, 6),),
        "head": (Move(_X, 27, 8),),
        "shoulder": (Move(_Z, 22, 32),),
        "body": (Move(_X, 6),),
    },
    "turn": {
        "body": (Move(_Y, 26),),
        "neck": (Move(_Y, 20),),
        "head": (Move(_Y, 36, phase=-0.08),),
        "turret": (Move(_Y, 60),),
        "shoulder": (Move(_Z, 12, 35),),
    },
    "hop": {
        "hip": (Move(_X, 22, -22, phase=-0.25),),
        "knee": (Move(_X, 36, 36, phase=-0.25),),
        "shoulder": (Move(_Z, 32, 50, phase=-0.25),),
        "wing": (Move(_Z, 28, phase=-0.25),),
        "head": (Move(_X, 12, phase=-0.25),),
        "ear": (Move(_Z, 18, 8, phase=-0.1),),
    },
    "flap": {
        "wing": (Move(_Z, 44, 8),),
        "wingtip": (Move(_Z, 30, 4, phase=-0.2),),
        "fin": (Move(_Z, 40, -5),),
        "body": (Move(_X, 5),),
        "hip": (Move(_X, 14, 30),),
    },
    "swim": {
        "spine": (Move(_Y, 24),),
        "fin": (Move(_Z, 26, -10),),
        "head": (Move(_Y, 12),),
        "body": (Move(_Y, 9),),
    },
    "drive": {
        "wheel": (Move(_X, 0, spin_deg=220),),
        "body": (Move(_X, 5), Move(_Z, 4, tempo=2)),
        "boom": (Move(_X, 24),),
        "turret": (Move(_Y, 30),),
        "head": (Move(_Y, 34),),
    },
}
"""Kind of motion to role to moves. ``lead ROLE`` is the first joint of a role on the toy's left."""

FAST_MOTIONS: dict[str, dict[str, tuple[Move, ...]]] = {
    "run": {
        "hip": (Move(_X, 52),),
        "knee": (Move(_X, 40, 44, phase=0.3),),
        "body": (Move(_X, 9, tempo=2), Move(_Y, 8)),
        "shoulder": (Move(_Z, 0, 12), Move(_X, 60, phase=0.5)),
        "elbow": (Move(_X, 16, -55),),
        "neck": (Move(_X, 12, tempo=2),),
        "tail": (Move(_Y, 30), Move(_X, 16, tempo=2)),
    },
    "jump": {
        "hip": (Move(_X, 34, -26, phase=-0.25),),
        "knee": (Move(_X, 50, 50, phase=-0.25),),
        "shoulder": (Move(_Z, 55, 70, phase=-0.25),),
        "body": (Move(_X, 16, phase=0.1),),
        "wing": (Move(_Z, 45, phase=-0.25),),
        "head": (Move(_X, 16, phase=-0.25),),
        "ear": (Move(_Z, 24, 8, phase=-0.1),),
    },
    "spin": {
        "body": (Move(_Y, 0, spin_deg=200), Move(_Z, 8)),
        "shoulder": (Move(_Z, 16, 70),),
        "elbow": (Move(_X, 20, -20),),
        "hip": (Move(_X, 26),),
        "wing": (Move(_Z, 24),),
        "spine": (Move(_Y, 20),),
        "head": (Move(_Y, 20, phase=0.2),),
    },
    "flap": {
        "wing": (Move(_Z, 58, 8),),
        "wingtip": (Move(_Z, 40, 4, phase=-0.2),),
        "fin": (Move(_Z, 55, -5),),
        "body": (Move(_X, 9), Move(_Z, 7, phase=0.2)),
        "hip": (Move(_X, 20, 30),),
    },
    "swim": {
        "spine": (Move(_Y, 36),),
        "fin": (Move(_Z, 36, -10),),
        "head": (Move(_Y, 20),),
        "body": (Move(_Y, 16),),
    },
}
"""Like ``MOTIONS``, for several cycles from time 0 to 1; ``spin_deg`` is per cycle."""


def animate(
    joints: list[Joint], kind: str, random: SeededRandom, fast_cycles: float | None = None
) -> tuple[bool, tuple[float, float]]:
    """Add the swings of one kind of motion to all joints.

    Args:
        joints: The toy's joints, changed in place.
        kind: A key of ``MOTIONS``, or of ``FAST_MOTIONS`` with ``fast_cycles``.
        random: Samples frequency, phase, amplitude and whether the motion loops.
        fast_cycles: Cycles of a fast motion from time 0 to 1; None for a calm motion of at most one.

    Returns:
        Whether the poses at times 0 and 1 look the same, and the root's bounce: its height in the toy's units
        and its number of hops.
    """
    jumps = kind in ("hop", "jump")  # both sides together
    if fast_cycles is None:
        loops = random.chance(0.5)
        cycles = 1.0 if loops else random.uniform(0.5, 1.0)
        moves, spins = {**_IDLE, **MOTIONS[kind]}, 1.0
    else:
        loops, cycles = False, fast_cycles
        moves, spins = {**_IDLE, **FAST_MOTIONS[kind]}, fast_cycles
    start, strength = (0.0 if jumps else random.uniform(0, 1)), random.uniform(0.85, 1.15)
    led: set[str] = set()
    for joint in joints:
        base = joint.role.split()[-1]
        lead = joint.side > 0 and joint.role not in led
        led.add(joint.role)
        names = [f"lead {joint.role}"] if lead else []
        chosen = next((moves[name] for name in (*names, joint.role, base) if name in moves), ())
        phase = 0.0 if jumps else joint.phase
        for move in chosen:
            mirror = 1 if move.axis == _X else joint.side
            half_turns = spins * move.spin_deg / 180  # wheels and rotors have a symmetry of half a turn
            joint.swings.append(
                Swing(
                    axis=move.axis,
                    amplitude_deg=mirror * strength * move.amplitude_deg,
                    cycles=cycles * move.tempo,
                    phase=start + move.phase + phase,
                    bias_deg=mirror * move.bias_deg,
                    spin_deg=180 * (round(half_turns) if loops else half_turns),
                )
            )
    return loops, (random.uniform(0.35, 0.6), cycles) if jumps else (0.0, 1.0)
