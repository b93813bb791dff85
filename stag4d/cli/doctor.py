"""``stag4d doctor``: which rasterizer renders on each device and why, versions, and what is missing."""

from __future__ import annotations

import argparse
from typing import Any

from .. import __version__
from ..rendering.diagnosis import DeviceReport, advice, find_devices, report_device, versions
from .options import add_command, print_text

_EXIT_UNUSABLE = 2


def add_doctor(commands: Any) -> None:
    """Add the command."""
    add_command(
        commands,
        "doctor",
        _doctor,
        "show devices, versions and the rasterizer of each device, and what to do for a faster one",
    )


def _doctor(options: argparse.Namespace) -> int:
    """Print a report; returns 2 if a device has no rasterizer that works."""
    lines = [f"stag4d: {__version__}"]
    lines += [f"{name}: {version}" for name, version in versions().items()]
    reports = [report_device(device) for device in find_devices()]
    lines += ["", *(_sentence(report) for report in reports)]
    faster = advice(reports)
    if faster:
        lines += ["", "For a faster rasterizer:", *(f"- {sentence}" for sentence in faster)]
    print_text("\n".join(lines) + "\n")
    return _EXIT_UNUSABLE if any(report.error is not None for report in reports) else 0


def _sentence(report: DeviceReport) -> str:
    """Return the line of a device."""
    if report.error is not None:
        return f"{report.name}: rasterizer {report.backend} fails: {report.error}"
    kernels = f"; {report.kernels}" if report.kernels else ""
    return f"{report.name}: rasterizer {report.backend}{kernels}"
