"""Posed views of a folder of the stag4d command or the official code, or a capture of another program."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import io

from ..stag4d.data import Capture, CaptureOptions, Split, UpChoice, read_capture, read_views
from ..stag4d.evaluation import on_white
from ..stag4d.view_set import ViewSet
from .host.capture_widgets import AUTO, capture_options, check_source, frame_inputs, world_inputs
from .host.framesets import FRAMESET_TYPES, ColmapData, frameset_capture
from .host.progress import PassesMonitor
from .host.sockets import CATEGORY_LOAD, Views
from .host.validation import UNCONNECTED, check_widgets
from .host.view_checks import check_arrangement
from .host.view_folders import view_folder_hash, view_folder_names, view_source


class STAG4DLoadViews(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadViews",
            display_name="STAG4D Load Views",
            category=CATEGORY_LOAD,
            description="Loads a folder of frames (ref/0_rgba.png, ...) and posed views "
            "(zero123/0_rgba/0.png, ...) that the stag4d command or the official STAG4D code has written, or "
            "a capture of several cameras: nerfstudio, D-NeRF, framesets, 4DAnyone, COLMAP, Neural 3D Video, "
            "HyperNeRF, Panoptic Sports, EasyMocap or ReCamMaster.",
            search_aliases=[
                "multi-view video",
                "load view folder",
                "load posed images",
                "frameset",
                "transforms.json",
                "nerfstudio",
                "colmap",
                "multi-camera",
                "4danyone",
                "charactershot",
                "n3dv",
                "dna-rendering",
            ],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=view_folder_names(),
                    optional=True,
                    tooltip="A view folder or a capture in the input folder; [output] marks those in the "
                    "output folder. Not needed if frameset is connected. Press R to refresh the list.",
                ),
                *frame_inputs(),
                *world_inputs(),
                io.MultiType.Input(
                    "frameset",
                    types=FRAMESET_TYPES,
                    optional=True,
                    tooltip="A capture from nodes of other packs, in place of folder: a frameset or the "
                    "4DAnyone views of SplatKit, or the cameras of FreeFlow.",
                ),
                ColmapData.Input(
                    "colmap_data",
                    optional=True,
                    tooltip="The COLMAP model for the cameras of FreeFlow. Without it, it is looked for "
                    "beside their folders.",
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
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None = UNCONNECTED, **values: Any) -> bool:
        """Raise ValueError for an invalid value, which the host reports once."""
        check_widgets(cls, **values)
        has_frameset = "frameset" in values
        if "colmap_data" in values and not has_frameset:
            raise ValueError(
                "colmap_data: connected without frameset; expected the cameras of FreeFlow there."
            )
        if folder is UNCONNECTED and not has_frameset:
            raise ValueError(
                "folder: none; expected a view folder or a capture in ComfyUI's input or output folder, or a "
                "connected frameset."
            )
        known = {name: value for name, value in values.items() if value is not None}
        options = capture_options(known)
        if folder is None or folder is UNCONNECTED or has_frameset or values.get("split", AUTO) is None:
            return True
        try:
            check_source(view_source(folder, known.get("split", "train")), options, known)
        except (OSError, RuntimeError) as error:
            raise ValueError(str(error)) from error
        return True

    @classmethod
    def fingerprint_inputs(cls, folder: str | None = None, **values: Any) -> str:
        if folder is None or "frameset" in values:  # linked, and not known yet, or not used
            return ""
        return view_folder_hash(folder)

    @classmethod
    def execute(
        cls,
        folder: str | None = None,
        first_frame: int = 0,
        frame_step: int = 1,
        max_frames: int = 0,
        longer_side: int = 0,
        center: str = AUTO,
        up: UpChoice = AUTO,
        front: str = "",
        reference: str = AUTO,
        split: Split = "train",
        fps: float = 0.0,
        frameset: Any = None,
        colmap_data: Any = None,
    ) -> io.NodeOutput:
        values = {
            "first_frame": first_frame,
            "frame_step": frame_step,
            "max_frames": max_frames,
            "longer_side": longer_side,
            "center": center,
            "up": up,
            "front": front,
            "reference": reference,
            "split": split,
            "fps": fps,
        }
        options = capture_options(values)
        with torch.inference_mode(False):
            if frameset is not None:
                source: Path | Capture = frameset_capture(frameset, colmap_data, split)
            elif folder is not None:
                source = view_source(folder, split)
            else:
                raise ValueError("folder: none; expected a folder, or a connected frameset.")
            check_source(source, options, values)
            views = _read(source, options)
            is_capture = isinstance(source, Capture)
            text = check_arrangement(views, None, cls.hidden.unique_id) if is_capture else None
        shown = views.first_track
        images, alphas = (torch.stack(part) for part in zip(*map(shown.at, range(len(shown))), strict=True))
        return io.NodeOutput(views, on_white(images, alphas), alphas, ui=text)


def _read(source: Path | Capture, options: CaptureOptions) -> ViewSet:
    """Return the views of a folder or a capture."""
    if isinstance(source, Path):
        views = read_views(source)
        return replace(views, reference=None) if options.reference == "none" else views
    return read_capture(source, options, PassesMonitor(_num_passes(source)))


def _num_passes(capture: Capture) -> int:
    """Return how often the monitor counts from the first image: once for each video, and for all images."""
    return 1 + sum(isinstance(files, Path) for view in capture.views for files in (view.frames, view.masks))
