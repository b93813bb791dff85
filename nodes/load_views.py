"""Posed views from a folder that the stag4d command or the official STAG4D code has written."""

from pathlib import Path

import torch
from comfy_api.latest import io

from ..stag4d.data import check_views, read_views
from ..stag4d.evaluation import on_white
from .host.files import content_hash, find_paths, host_roots, resolve_name
from .host.sockets import CATEGORY_LOAD, Views
from .host.validation import refusal

FRAMES = "ref"  # subfolder of a view folder with the frames of the input view
CAMERAS = "views.json"  # in folders of views with any cameras, which have no such subfolder


class STAG4DLoadViews(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadViews",
            display_name="STAG4D Load Views",
            category=CATEGORY_LOAD,
            description="Loads a folder of frames (ref/0_rgba.png, ...) and posed views "
            "(zero123/0_rgba/0.png, ...) that the stag4d command or the official STAG4D code has written.",
            search_aliases=["multi-view video", "load view folder", "load posed images"],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=folder_names(),
                    tooltip="A view folder in the input folder; [output] marks those in the output folder. "
                    "Press R to refresh the list.",
                ),
            ],
            outputs=[
                Views.Output("views", tooltip="Frames and posed views, for STAG4D Optimize."),
                io.Image.Output(
                    "images",
                    tooltip="The frames of the input view, on white; of a set without one, those of the view "
                    "nearest to azimuth 0.",
                ),
                io.Mask.Output("mask", tooltip="1 on the object."),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None = None) -> bool | str:
        return True if folder is None else refusal(lambda: check_views(folder_path(folder)))

    @classmethod
    def fingerprint_inputs(cls, folder: str | None) -> str:
        if folder is None:  # linked, and not known yet
            return ""
        root = folder_path(folder)
        files = [path for path in [*root.rglob("*.png"), *root.glob("views.json")] if path.is_file()]
        return content_hash(sorted(files), root)  # opening a named pipe would wait for ever

    @classmethod
    def execute(cls, folder: str) -> io.NodeOutput:
        with torch.inference_mode(False):
            views = read_views(folder_path(folder))
        shown = views.first_track
        images, alphas = (torch.stack(part) for part in zip(*map(shown.at, range(len(shown))), strict=True))
        return io.NodeOutput(views, on_white(images, alphas), alphas)


def folder_names() -> list[str]:
    """Return the names of the view folders in the input folder and, marked, in the output folder."""
    names = {
        f"{path.parent.relative_to(root).as_posix()}{mark}": None
        for mark, root in host_roots().items()
        if mark != " [temp]"
        for path in [*find_paths(FRAMES, root, is_folder=True), *find_paths(CAMERAS, root)]
    }
    return list(names)


def folder_path(name: str) -> Path:
    """Return the path of the folder with a name from ``folder_names``.

    Raises:
        ValueError: if it lies outside ComfyUI's folders.
        FileNotFoundError: if it is not a view folder.
    """
    path = resolve_name(name, "view folder")
    if not (path / FRAMES).is_dir() and not (path / CAMERAS).is_file():
        raise FileNotFoundError(
            f"view folder: {name!r} has no folder {FRAMES!r}; expected frames as {FRAMES}/0_rgba.png."
        )
    return path
