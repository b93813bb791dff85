"""Scenes in ComfyUI's input, output and temp folders."""

from pathlib import Path

import torch
from comfy_api.latest import io, ui

from ..stag4d.scene import GaussianModel4D, load_scene, save_scene
from .host.files import (
    TEMP_FOLDER,
    content_hash,
    find_paths,
    host_roots,
    new_path,
    output_name,
    resolve_name,
)
from .host.sockets import CATEGORY, Scene

SUFFIX = ".safetensors"


class STAG4DLoad(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoad",
            display_name="STAG4D Load Scene",
            category=CATEGORY,
            description="Loads a 4D scene: a .safetensors file that STAG4D Save Scene or the stag4d command "
            "has written, or the unfinished scene of a cancelled STAG4D Optimize.",
            search_aliases=["open 4d scene", "load gaussian splat animation"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=scene_names(),
                    tooltip="A scene in the input folder; [output] marks those in the output folder, [temp] "
                    "unfinished ones in the temp folder. Press R to refresh the list.",
                ),
            ],
            outputs=[Scene.Output("scene", tooltip="The 4D scene.")],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        try:
            scene_path(file)
        except (ValueError, FileNotFoundError) as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str) -> str:
        path = scene_path(file)
        return content_hash([path], path.parent)

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        with torch.inference_mode(False):  # so that another node can optimize the scene further
            return io.NodeOutput(load_scene(scene_path(file)))


class STAG4DSave(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DSave",
            display_name="STAG4D Save Scene",
            category=CATEGORY,
            description="Saves a 4D scene in the output folder, where STAG4D Load Scene lists it.",
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
        )

    @classmethod
    def execute(cls, scene: GaussianModel4D, filename_prefix: str) -> io.NodeOutput:
        with new_path(filename_prefix, SUFFIX) as path:
            save_scene(path, scene)
        name = output_name(path)
        return io.NodeOutput(name, ui=ui.PreviewText(f"saved {name}"))


def scene_names() -> list[str]:
    """Return the names of the scenes in the input, output and temp folders, the latter two marked."""
    names = []
    for mark, folder in host_roots().items():
        root = folder / TEMP_FOLDER if mark == " [temp]" else folder
        found = find_paths(f"*{SUFFIX}", root)
        names += [f"{path.relative_to(folder).as_posix()}{mark}" for path in found]
    return names


def scene_path(name: str) -> Path:
    """Return the path of the file with a name from ``scene_names``.

    Raises:
        ValueError: if it lies outside ComfyUI's folders, or is not a .safetensors file.
        FileNotFoundError: if there is no such file.
    """
    path = resolve_name(name, "scene file")
    if path.suffix != SUFFIX:
        raise ValueError(f"scene file: {name!r} is not a {SUFFIX} file; choose a saved STAG4D scene.")
    if not path.is_file():
        raise FileNotFoundError(
            f"scene file: {name!r} was not found; choose one in the list (press R to refresh it), or copy "
            "the file into the input folder."
        )
    return path
