"""Posed views from a folder: what the multi-view stage, the command or the official code wrote."""

from pathlib import Path

import torch
from comfy_api.latest import io

from ..stag4d.data import read_views
from ..stag4d.evaluation import on_white
from .host.files import content_hash, host_roots, paths_named, resolved
from .host.sockets import CATEGORY, Views

FIRST_FRAMES = "ref"  # the folder that makes another one a view folder


class STAG4DLoadViews(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadViews",
            display_name="STAG4D Load Views",
            category=CATEGORY,
            description="Opens a folder of frames and posed views, ref/0_rgba.png, zero123/0_rgba/0.png "
            "and on, as the official STAG4D code and the stag4d command write them.",
            search_aliases=["multi-view video", "load view folder"],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=folder_names(),
                    tooltip="A folder in the input folder, or in the output folder where [output] is added. "
                    "Press R to see folders that were added meanwhile.",
                ),
            ],
            outputs=[
                Views.Output("views", tooltip="Frames and posed views, for STAG4D Optimize."),
                io.Image.Output("images", tooltip="The frames of the input view, on white."),
                io.Mask.Output("mask", tooltip="1 on the object."),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str) -> bool | str:
        try:
            folder_path(folder)
        except (ValueError, FileNotFoundError) as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, folder: str) -> str:
        root = folder_path(folder)
        return content_hash(sorted([*root.rglob("*.png"), *root.glob("views.json")]), root)

    @classmethod
    def execute(cls, folder: str) -> io.NodeOutput:
        with torch.inference_mode(False):
            views = read_views(folder_path(folder))
        return io.NodeOutput(views, on_white(views.images, views.alphas), views.alphas)


def folder_names() -> list[str]:
    """Return the view folders under the input folder and, marked, under the output folder."""
    return [
        f"{path.parent.relative_to(root).as_posix()}{mark}"
        for mark, root in host_roots().items()
        if mark != " [temp]"
        for path in paths_named(FIRST_FRAMES, root)
        if path.is_dir()
    ]


def folder_path(name: str) -> Path:
    """Return the folder that a name from ``folder_names`` stands for.

    Raises:
        ValueError: if the name leads out of the host's folder.
        FileNotFoundError: if there is no such folder.
    """
    path = resolved(name, "view folder")
    if not (path / FIRST_FRAMES).is_dir():
        raise FileNotFoundError(
            f"view folder: {name!r} has no folder {FIRST_FRAMES!r}; expected frames as "
            f"{FIRST_FRAMES}/0_rgba.png."
        )
    return path
