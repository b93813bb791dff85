"""Scenes in ComfyUI's input, output and temp folders."""

import torch
from comfy_api.latest import io

from ..stag4d.pipeline import check_import, import_scene
from ..stag4d.scene import MAX_METADATA_BYTES, GaussianModel4D, save_scene
from .host.file_metadata import file_metadata
from .host.files import check_prefix, content_hash, new_path, output_name, state_hash
from .host.progress import HostMonitor
from .host.results import written_files
from .host.scene_sources import SUFFIX, scene_files, scene_names, scene_path
from .host.sockets import CATEGORY_LOAD, CATEGORY_OUTPUT, Scene
from .host.validation import check_widgets, refusal


class STAG4DLoad(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoad",
            display_name="STAG4D Load Scene",
            category=CATEGORY_LOAD,
            description="Loads a 4D scene: a .safetensors file that STAG4D Save Scene or the stag4d command "
            "has written, the unfinished scene of a cancelled STAG4D Optimize, an .s4d or .4dgs file, a PLY "
            "or SPZ file, a folder of numbered PLY or SPZ files, or a result of the official STAG4D code.",
            search_aliases=["open 4d scene", "load gaussian splat animation", "import ply sequence"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=scene_names(),
                    tooltip="A scene in the input folder; [output] marks those in the output folder, [temp] "
                    "unfinished ones in the temp folder; bundled/... comes with this pack. A name with a "
                    "slash at its end is a folder of frames or an official result. Press R to refresh the "
                    "list.",
                ),
                io.Float.Input(
                    "fps",
                    optional=True,  # older prompts lack it
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=0.01,
                    tooltip="Frames per second; 0 takes the file's, or 8 for PLY, SPZ and official results.",
                ),
                io.Int.Input(
                    "frames",
                    optional=True,
                    default=0,
                    min=0,
                    max=65536,
                    advanced=True,
                    tooltip="For official results: the number of frames that they were trained with, size in "
                    "their configuration; 0 takes 30, as there. Otherwise leave it at 0.",
                ),
            ],
            outputs=[Scene.Output("scene", tooltip="The 4D scene.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None, frames: int | None = None) -> bool | str:
        def check() -> None:
            check_widgets(cls, frames=frames)
            if file is not None:
                check_import(scene_path(file), num_frames=frames or None)

        return refusal(check)

    @classmethod
    def fingerprint_inputs(cls, file: str | None, fps: float = 0.0, frames: int = 0) -> str:
        if file is None:  # linked, and not known yet
            return ""
        path = scene_path(file)
        files = scene_files(path)
        return state_hash(files, path) if path.is_dir() else content_hash(files, path.parent)

    @classmethod
    def execute(cls, file: str, fps: float = 0.0, frames: int = 0) -> io.NodeOutput:
        path = scene_path(file)
        monitor = HostMonitor(None, **{"import": len(scene_files(path))})  # a keyword of Python
        with torch.inference_mode(False):  # so that another node can optimize the scene further
            scene = import_scene(path, fps=fps or None, num_frames=frames or None, monitor=monitor)
        return io.NodeOutput(scene)


class STAG4DSave(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DSave",
            display_name="STAG4D Save Scene",
            category=CATEGORY_OUTPUT,
            description="Saves a 4D scene in the output folder, where STAG4D Load Scene lists it. Dropped on "
            "the canvas, the file restores the workflow.",
            search_aliases=["save 4d scene", "store gaussian splat animation"],
            is_output_node=True,
            inputs=[
                Scene.Input("scene", tooltip="The scene to save."),
                io.String.Input(
                    "filename_prefix",
                    default="stag4d/scene",
                    tooltip="Folder and start of the file name, within the output folder. A number is added, "
                    "so that no file is overwritten.",
                ),
            ],
            outputs=[io.String.Output("file", tooltip="Name of the file in the list of STAG4D Load Scene.")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        return True if filename_prefix is None else refusal(lambda: check_prefix(filename_prefix))

    @classmethod
    def execute(cls, scene: GaussianModel4D, filename_prefix: str) -> io.NodeOutput:
        with new_path(filename_prefix, SUFFIX) as path:
            save_scene(path, scene, file_metadata(cls.hidden, MAX_METADATA_BYTES))
        return io.NodeOutput(output_name(path), ui=written_files(path))
