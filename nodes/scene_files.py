"""Scenes in the host's folders.

A name that comes with a workflow is untrusted: it is resolved and compared with the folders before use.
"""

from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io

from ..stag4d.scene import load_scene
from .sockets import CATEGORY, Scene

SUFFIX = ".safetensors"


class STAG4DLoad(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoad",
            display_name="STAG4D Load Scene",
            category=CATEGORY,
            description="Opens a saved 4D scene: a scene.safetensors file in the input or output folder.",
            search_aliases=["open 4d scene", "load gaussian splat animation"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=scene_names(),
                    tooltip="A .safetensors scene in the input folder, or in the output folder where "
                    "[output] is added. Press R to see files that were added meanwhile.",
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
    def fingerprint_inputs(cls, file: str) -> tuple[int, int]:
        facts = scene_path(file).stat()
        return facts.st_mtime_ns, facts.st_size

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        with torch.inference_mode(False):  # so that a later node may optimise what is loaded here
            return io.NodeOutput(load_scene(scene_path(file)))


def scene_names() -> list[str]:
    """Return the .safetensors files under the input folder and then, marked [output], the output folder."""
    folders = {"": folder_paths.get_input_directory(), " [output]": folder_paths.get_output_directory()}
    return [
        f"{path.relative_to(folder).as_posix()}{mark}"
        for mark, folder in folders.items()
        for path in sorted(Path(folder).rglob(f"*{SUFFIX}"))
    ]


def scene_path(name: str) -> Path:
    """Return the file that a name from ``scene_names`` stands for.

    Raises:
        ValueError: if the name leads out of the host's folder, or is not that of a .safetensors file.
        FileNotFoundError: if there is no such file.
    """
    relative, annotated = folder_paths.annotated_filepath(name)
    folder = Path(annotated or folder_paths.get_input_directory()).resolve()
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"scene file: {name!r} lies outside the host's folders; choose a file inside.")
    if path.suffix != SUFFIX:
        raise ValueError(f"scene file: {name!r} is not a {SUFFIX} file; choose a saved STAG4D scene.")
    if not path.is_file():
        raise FileNotFoundError(
            f"scene file: {name!r} was not found; copy a scene{SUFFIX} into the input folder and choose it."
        )
    return path
