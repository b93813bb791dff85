"""Scenes as files for other programs."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import Types, io, ui

from ..stag4d.export import (
    encode_ply,
    encode_s4d,
    write_4dgs,
    write_html,
    write_ply,
    write_s4d,
    write_splat_sequence,
    write_spz,
)
from ..stag4d.scene import GaussianModel4D, Gaussians
from .host.files import numbered_path, output_name
from .host.progress import HostMonitor
from .host.sockets import CATEGORY, MOMENT, Scene

SEQUENCE = " sequence"  # suffix of the formats with one file per frame
_STATIC_WRITERS = {"ply": write_ply, "spz": write_spz}
_SUFFIXES = {"ply": ".ply", "spz": ".spz", "4dgs": ".4dgs", "html": ".html", "clip": ".s4d"}


class STAG4DExport(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DExport",
            display_name="STAG4D Export",
            category=CATEGORY,
            description="Writes a 4D scene into the output folder, in a format for other programs.",
            search_aliases=["export ply", "save splat", "ply sequence", "export spz", "4dgs", "web page"],
            is_output_node=True,
            inputs=[
                Scene.Input("scene", tooltip="The scene to export."),
                io.String.Input(
                    "filename_prefix",
                    default="stag4d/export",
                    tooltip="Folder and start of the file name, within the output folder. A number is added.",
                ),
                io.DynamicCombo.Input(
                    "format",
                    options=[
                        io.DynamicCombo.Option("ply", [MOMENT]),
                        io.DynamicCombo.Option("ply sequence", []),
                        io.DynamicCombo.Option("spz", [MOMENT]),
                        io.DynamicCombo.Option("spz sequence", []),
                        io.DynamicCombo.Option("4dgs", []),
                        io.DynamicCombo.Option("html", []),
                        io.DynamicCombo.Option("clip", []),
                    ],
                    tooltip="ply: one moment as a 3DGS file. spz: the same at a quarter of the size, needs "
                    "the package gsply. sequence: a folder with one file per frame. 4dgs: all frames in one "
                    "file, needs the package fourdgs. html: a web page that plays the scene. clip: the .s4d "
                    "file in that page.",
                ),
            ],
            outputs=[
                io.File3DSplatAny.Output(
                    "file",
                    tooltip="For ComfyUI's 3D nodes: the ply or spz file, or the first of a sequence; with "
                    "other formats the first frame as ply.",
                ),
                io.String.Output("name", tooltip="Name of the file or folder in the output folder."),
            ],
        )

    @classmethod
    def execute(
        cls, scene: GaussianModel4D, filename_prefix: str, format: Mapping[str, Any]
    ) -> io.NodeOutput:
        chosen = format["format"]
        path = numbered_path(filename_prefix, _SUFFIXES.get(chosen, ""))
        if chosen in _STATIC_WRITERS:
            _STATIC_WRITERS[chosen](path, _gaussians_at(scene, format["moment"]))
            file = Types.File3D(str(path), chosen)
        elif chosen.endswith(SEQUENCE):
            kind, monitor = chosen.removesuffix(SEQUENCE), HostMonitor(export=scene.info.num_frames)
            file = Types.File3D(str(write_splat_sequence(path, scene, kind, monitor=monitor)[0]), kind)
        else:
            _write_animation(path, scene, chosen)
            file = Types.File3D(BytesIO(encode_ply(_gaussians_at(scene, 0.0))), "ply")
        name = output_name(path)
        return io.NodeOutput(file, name, ui=ui.PreviewText(f"saved {name}"))


def _write_animation(path: Path, scene: GaussianModel4D, chosen: str) -> None:
    """Write all frames of a scene into one file."""
    monitor = HostMonitor(export=scene.info.num_frames)
    if chosen == "4dgs":
        write_4dgs(path, scene, monitor)
    elif chosen == "html":
        write_html(path, encode_s4d(scene, monitor=monitor), path.stem.rstrip("_"))
    else:
        write_s4d(path, scene, monitor=monitor)


@torch.no_grad()
def _gaussians_at(scene: GaussianModel4D, moment: float) -> Gaussians:
    """Return the Gaussians of a scene at a time in [0, 1]."""
    return scene.at(torch.tensor([moment], device=scene.device))[0]
