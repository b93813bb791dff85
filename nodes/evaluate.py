"""Metrics of renders against ground truth, as numbers and as text."""

import math
from typing import Any

import torch
from comfy_api.latest import io, ui

from ..stag4d.evaluation import masked_psnr, mean, psnr, silhouette_iou, ssim
from ..stag4d.matting import check_range
from .host.counts import num_renders
from .host.lazy_inputs import not_evaluated
from .host.progress import HostMonitor
from .host.sockets import CATEGORY_OUTPUT

OF_RENDERS = ("images", "mask")  # inputs that come with the renders
_ROWS = {  # label of each metric, and the inputs that it needs beside the images
    "PSNR": ("PSNR dB", ""),
    "PSNR masked": ("PSNR masked dB", "truth_mask, a mask per image and of its size"),
    "SSIM": ("SSIM", ""),
    "IoU": ("IoU", "mask and truth_mask"),
}


class STAG4DEvaluate(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DEvaluate",
            display_name="STAG4D Evaluate",
            category=CATEGORY_OUTPUT,
            description="Compares renders with ground-truth images, pair by pair in order: PSNR, also of the "
            "object's pixels alone, SSIM and silhouette IoU.",
            search_aliases=["psnr", "ssim", "iou", "metrics", "compare images"],
            is_output_node=True,
            inputs=[
                io.Image.Input("images", lazy=True, tooltip="The renders."),
                io.Image.Input(
                    "truth",
                    tooltip="Ground truth: as many images, of the same size, on the same background.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    lazy=True,
                    tooltip="Masks of the renders, 1 on the object. IoU needs both masks.",
                ),
                io.Mask.Input(
                    "truth_mask",
                    optional=True,
                    tooltip="Masks of the ground truth, 1 on the object. The masked PSNR needs them.",
                ),
            ],
            outputs=[
                io.String.Output("report", tooltip="Mean and worst image of each metric, as text."),
                io.Float.Output("psnr", tooltip="Mean peak signal-to-noise ratio, dB; at most 100."),
                io.Float.Output("ssim", tooltip="Mean structural similarity; 1 for equal images."),
                io.Float.Output(
                    "iou",
                    tooltip="Mean intersection over union of the silhouettes; 0 unless both masks are given.",
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def check_lazy_status(
        cls,
        truth: torch.Tensor,
        images: torch.Tensor | None = None,
        truth_mask: torch.Tensor | None = None,
        **others: Any,
    ) -> list[str]:
        """Have the ground truth checked before the renders, for which a scene may have to be fitted."""
        if images is None:
            _check_colors("truth", truth)
            count = num_renders(cls.hidden.prompt, cls.hidden.unique_id, "images")
            for name, batch in (("truth", truth), ("truth_mask", truth_mask if "mask" in others else None)):
                if batch is not None and count not in (None, len(batch)):
                    raise ValueError(
                        f"evaluation: {count} images are rendered, the number of cameras of STAG4D Camera "
                        f"Path, and {name} has {len(batch)}; expected the same count."
                    )
        return not_evaluated(OF_RENDERS, {"images": images, **others})

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        truth: torch.Tensor,
        mask: torch.Tensor | None = None,
        truth_mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        _check_match("images", images, "truth", truth)
        objects = _masks_of(truth_mask, images)
        scores: dict[str, list[float]] = {"PSNR": [], "SSIM": []}
        monitor = HostMonitor(evaluate=len(images))
        for done, (image, other) in enumerate(zip(images, truth, strict=True), start=1):
            image, other = _clamped("images", done, image), _clamped("truth", done, other)
            scores["PSNR"].append(psnr(image, other).item())
            scores["SSIM"].append(ssim(image, other).item())
            if objects is not None:
                value = masked_psnr(image, other, objects[done - 1]).item()
                scores.setdefault("PSNR masked", []).append(value)
            monitor("evaluate", done, len(images))
        if mask is not None and truth_mask is not None:
            mask, truth_mask = (part.reshape(-1, *part.shape[-2:]) for part in (mask, truth_mask))
            _check_match("mask", mask, "truth_mask", truth_mask)
            check_range(mask, "evaluation: mask", "values")
            check_range(truth_mask, "evaluation: truth_mask", "values")
            scores["IoU"] = silhouette_iou(mask, truth_mask).tolist()
        report = _report(scores)
        numbers = [mean(scores.get(name, [0.0])) for name in ("PSNR", "SSIM", "IoU")]
        return io.NodeOutput(report, *numbers, ui=ui.PreviewText(report))


def _masks_of(masks: torch.Tensor | None, images: torch.Tensor) -> torch.Tensor | None:
    """Return one mask per image; None if the masks are not so many or of another size."""
    if masks is None:
        return None
    masks = masks.reshape(-1, *masks.shape[-2:])
    return masks if masks.shape == images.shape[:3] else None


def _clamped(name: str, number: int, image: torch.Tensor) -> torch.Tensor:
    """Return an image limited to 0..1; raises ValueError if it is far from that range or not finite."""
    check_range(image, f"evaluation: {name}: image {number - 1}", "pixels")
    return image.clamp(0, 1)


def _report(scores: dict[str, list[float]]) -> str:
    """Return a table with the mean and the worst image of each metric."""
    lines = [f"{'':15}{'mean':>8}{'worst':>9}  at image (of {len(scores['PSNR'])}, from 0)"]
    for name, (label, needed) in _ROWS.items():
        values = scores.get(name)
        counted = [value for value in values or () if not math.isnan(value)]
        if values is None:
            lines.append(f"{label:15}not given (it needs {needed})")
        elif not counted:
            lines.append(f"{label:15}not given (truth_mask is empty)")
        else:
            worst = min(counted)
            lines.append(f"{label:15}{mean(counted):8.3f}{worst:9.3f}  {values.index(worst)}")
    return "\n".join(lines)


def _check_match(name: str, first: torch.Tensor, other_name: str, second: torch.Tensor) -> None:
    """Raise ValueError unless two batches have equal size, at least one image each, and no alpha."""
    (count, height, width), (other_count, other_height, other_width) = first.shape[:3], second.shape[:3]
    if first.shape[:3] != second.shape[:3] or not count:
        raise ValueError(
            f"evaluation: {name} has {count} of {width}x{height} pixels, {other_name} {other_count} of "
            f"{other_width}x{other_height}; expected the same count and size, at least one."
        )
    for part, batch in ((name, first), (other_name, second)):
        _check_colors(part, batch)


def _check_colors(name: str, batch: torch.Tensor) -> None:
    """Raise ValueError if images have alpha."""
    if batch.ndim == 4 and batch.shape[-1] != 3:
        raise ValueError(
            f"evaluation: {name} has {batch.shape[-1]} channels; expected 3: composite the images on a "
            "background, and connect their alpha as mask."
        )
