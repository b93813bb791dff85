"""Scenes as files for other programs."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import torch
from comfy_api.latest import Types, io

from ..stag4d.export import EXPORT_FORMATS, encode_ply, write_splat_sequence
from ..stag4d.scene import GaussianModel4D
from .host.file_metadata import file_metadata
from .host.files import check_prefix, new_path, output_name
from .host.progress import HostMonitor
from .host.results import written_files
from .host.sockets import CATEGORY_OUTPUT, MOMENT, Scene
from .host.validation import check_widgets, refusal

SPLAT_FORMATS = ("ply", "spz", "splat")  # that ComfyUI's 3D nodes read
SEQUENCE = " sequence"  # suffix of the options with one file per frame
SPZ_VERSION = io.Combo.Input(
    "spz_version",
    optional=True,  # older prompts lack it
    options=["3", "2"],
    default="3",
    advanced=True,
    tooltip="3: for ComfyUI, Spark from 0.1.9 and Niantic's library. 2: for readers from before July 2025; "
    "rotations are up to 12 degrees off.",
)


class STAG4DExport(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DExport",
            display_name="STAG4D Export",
            category=CATEGORY_OUTPUT,
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
                        io.DynamicCombo.Option("spz", [MOMENT, SPZ_VERSION]),
                        io.DynamicCombo.Option("spz sequence", [SPZ_VERSION]),
                        io.DynamicCombo.Option("4dgs", []),
                        io.DynamicCombo.Option("html", []),
                        io.DynamicCombo.Option("clip", []),
                        io.DynamicCombo.Option("splat", [MOMENT]),
                        io.DynamicCombo.Option("splat sequence", []),
                        io.DynamicCombo.Option("glb", [MOMENT]),
                    ],
                    tooltip="ply: one moment as a 3DGS file. spz: the same at a quarter of the size, needs "
                    "the package gsply. sequence: a folder with one file per frame. 4dgs: all frames in one "
                    "file, needs the package fourdgs. html: a web page that plays the scene. clip: the .s4d "
                    "file in that page. splat: one moment in 32 bytes per Gaussian. glb: one moment as glTF, "
                    "needs the package fourdgs.",
                ),
            ],
            outputs=[
                io.File3DSplatAny.Output(
                    "file",
                    tooltip="For ComfyUI's 3D nodes: the ply, spz or splat file, or the first of a sequence; "
                    "with other formats the first frame as ply.",
                ),
                io.String.Output("name", tooltip="Name of the file or folder in the output folder."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(
        cls, filename_prefix: str | None = None, format: Mapping[str, Any] | None = None
    ) -> bool | str:
        def check() -> None:
            check_widgets(cls, format=format)
            if format is not None:
                EXPORT_FORMATS[format["format"].removesuffix(SEQUENCE)].check_package()
            if filename_prefix is not None:
                check_prefix(filename_prefix)

        return refusal(check)

    @classmethod
    def execute(
        cls, scene: GaussianModel4D, filename_prefix: str, format: Mapping[str, Any]
    ) -> io.NodeOutput:
        chosen = format["format"]
        name = chosen.removesuffix(SEQUENCE)
        is_sequence = chosen.endswith(SEQUENCE)
        entry = EXPORT_FORMATS[name]
        options: dict[str, Any] = {}
        if name == "spz":  # the host passes None for an optional input that an older prompt lacks
            options["spz_version"] = int(format.get("spz_version") or 3)
        metadata = file_metadata(cls.hidden, entry.max_metadata_bytes)
        if metadata:
            options["metadata"] = metadata
        monitor = HostMonitor(export=scene.info.num_frames)
        with new_path(filename_prefix, "" if is_sequence else entry.suffix) as path:
            if is_sequence:
                path_of_file = write_splat_sequence(path, scene, name, monitor=monitor, **options)[0]
            else:
                moment = {"frame_time": format["moment"]} if entry.holds_one_frame else {}
                entry.write(path, scene, monitor=monitor, **moment, **options)
                path_of_file = path
            if name in SPLAT_FORMATS:
                file = Types.File3D(str(path_of_file), name)
            else:
                file = Types.File3D(BytesIO(_first_frame(scene)), "ply")
        return io.NodeOutput(file, output_name(path), ui=written_files(path))


@torch.no_grad()
def _first_frame(scene: GaussianModel4D) -> bytes:
    """Return the content of a PLY file of a scene's first frame."""
    return encode_ply(scene.at(torch.tensor([0.0], device=scene.device))[0])
