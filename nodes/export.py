"""Files of a scene that other programs open."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import Types, io, ui

from ..stag4d.export import write_ply, write_ply_sequence
from ..stag4d.scene import GaussianModel4D, Gaussians
from .progress import progress_of
from .render import MOMENT
from .scene_files import numbered_path, output_name
from .sockets import CATEGORY, Scene


class STAG4DExport(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DExport",
            display_name="STAG4D Export",
            category=CATEGORY,
            description="Writes a 4D scene into the output folder in a format that other programs open.",
            search_aliases=["export ply", "save splat", "ply sequence"],
            is_output_node=True,
            inputs=[
                Scene.Input("scene", tooltip="The scene to export."),
                io.String.Input(
                    "filename_prefix",
                    default="stag4d/export",
                    tooltip="Folder and beginning of the name under the output folder; a number is added.",
                ),
                io.DynamicCombo.Input(
                    "format",
                    options=[
                        io.DynamicCombo.Option("ply", [MOMENT]),
                        io.DynamicCombo.Option("ply sequence", []),
                    ],
                    tooltip="ply: one moment as a 3DGS file. ply sequence: a folder, one file a frame.",
                ),
            ],
            outputs=[
                io.File3DPLY.Output(
                    "file", tooltip="The file, or the sequence's first, for the host's 3D nodes."
                ),
                io.String.Output("name", tooltip="The file or folder, as it lies in the output folder."),
            ],
        )

    @classmethod
    def execute(
        cls, scene: GaussianModel4D, filename_prefix: str, format: Mapping[str, Any]
    ) -> io.NodeOutput:
        if format["format"] == "ply":
            first = path = numbered_path(filename_prefix, ".ply")
            with torch.no_grad():
                write_ply(path, scene.at(torch.tensor([format["moment"]], device=scene.device))[0])
        else:
            path = numbered_path(filename_prefix, "")
            first = _write_sequence(path, scene)
        name = output_name(path)
        return io.NodeOutput(
            Types.File3D(str(first), file_format="ply"), name, ui=ui.PreviewText(f"saved {name}")
        )


@torch.no_grad()
def _write_sequence(folder: Path, scene: GaussianModel4D) -> Path:
    """Write one PLY a frame, cancellable after each; returns the first."""
    on_frame = progress_of(scene.info.num_frames)

    def frames() -> Iterator[Gaussians]:
        for index in range(scene.info.num_frames):
            yield scene.at(scene.frame_times[[index]])[0]
            on_frame(index + 1)

    return write_ply_sequence(folder, frames())[0]
