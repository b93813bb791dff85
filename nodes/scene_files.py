"""Scenes to and from the host's folders."""

from pathlib import Path

import torch
from comfy_api.latest import io, ui

from ..stag4d.scene import GaussianModel4D, load_scene, save_scene
from .host.files import (
    TEMP_FOLDER,
    content_hash,
    host_roots,
    numbered_path,
    output_name,
    paths_named,
    resolved,
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
            description="Opens a saved 4D scene: a scene.safetensors file in the input or output folder, or "
            "what a cancelled fit left in the temp folder.",
            search_aliases=["open 4d scene", "load gaussian splat animation"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=scene_names(),
                    tooltip="A .safetensors scene in the input folder; in the output folder where [output] "
                    "is added, in the temp folder where [temp] is. Press R to see files added meanwhile.",
                ),
            ],
            outputs=[Scene.Output("scene", tooltip="The scene, for STAG4D Render.")],
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
        with torch.inference_mode(False):  # so that a later node may optimise what is loaded here
            return io.NodeOutput(load_scene(scene_path(file)))


class STAG4DSave(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DSave",
            display_name="STAG4D Save Scene",
            category=CATEGORY,
            description="Saves a 4D scene in the output folder, where STAG4D Load Scene finds it.",
            search_aliases=["save 4d scene", "store gaussian splat animation"],
            is_output_node=True,
            inputs=[
                Scene.Input("scene", tooltip="The scene to save."),
                io.String.Input(
                    "filename_prefix",
                    default="stag4d/scene",
                    tooltip="Folder and beginning of the name under the output folder; a number is added, so "
                    "that nothing is overwritten.",
                ),
            ],
            outputs=[io.String.Output("file", tooltip="The name that STAG4D Load Scene lists it under.")],
        )

    @classmethod
    def execute(cls, scene: GaussianModel4D, filename_prefix: str) -> io.NodeOutput:
        path = numbered_path(filename_prefix, SUFFIX)
        save_scene(path, scene)
        name = output_name(path)
        return io.NodeOutput(name, ui=ui.PreviewText(f"saved {name}"))


def scene_names() -> list[str]:
    """Return the scenes under the input, output and temp folders, the latter two marked with their folder."""
    names = []
    for mark, folder in host_roots().items():
        below = folder / TEMP_FOLDER if mark == " [temp]" else folder
        found = paths_named(f"*{SUFFIX}", below)
        names += [f"{path.relative_to(folder).as_posix()}{mark}" for path in found]
    return names


def scene_path(name: str) -> Path:
    """Return the file that a name from ``scene_names`` stands for.

    Raises:
        ValueError: if the name leads out of the host's folder, or is not that of a .safetensors file.
        FileNotFoundError: if there is no such file.
    """
    path = resolved(name, "scene file")
    if path.suffix != SUFFIX:
        raise ValueError(f"scene file: {name!r} is not a {SUFFIX} file; choose a saved STAG4D scene.")
    if not path.is_file():
        raise FileNotFoundError(
            f"scene file: {name!r} was not found; choose a scene in the list (press R for new ones), or copy "
            "one into the input folder."
        )
    return path
