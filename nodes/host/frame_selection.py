"""Which frames of an IMAGE or VIDEO are used, and the alpha that is given for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from comfy_api.latest import Input

from ...stag4d.data import VideoClip, read_frames, read_object_frames
from ...stag4d.matting import CroppedVideo
from .memory import require_memory
from .progress import ReadMonitor
from .video_input import opened_video

PIXEL_BYTES = 9  # of a frame that is read: color and alpha, uint8, then alpha, float32, and the object's mask

# Crops images [F, H, W, 3 or 4] with alphas [F, H, W] or None; the last argument is their names or None.
CropFrames = Callable[[torch.Tensor, torch.Tensor | None, Sequence[str] | None], CroppedVideo]


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameSelection:
    """The widgets and the mask of STAG4D Prepare Frames that choose frames and their alpha.

    Attributes:
        start: Index of the first frame.
        end: Index of the last frame; -1 is the last one of the video.
        num_frames: Number of frames to keep; 0 keeps all.
        masks: [F, H, W], one for each frame of the video, or None.
        invert: Whether masks, or the alpha of the images, are 0 on the object.
    """

    start: int
    end: int
    num_frames: int
    masks: torch.Tensor | None
    invert: bool

    def crop_images(self, images: torch.Tensor, crop: CropFrames) -> CroppedVideo:
        """Crop images [F, H, W, 3 or 4]."""
        self._check_masks(len(images))
        between = _between(self.start, self.end, len(images))
        names = [f"image {index}" for index in between] if self.start else None
        span = slice(between.start, between.stop)
        masks = None if self.masks is None else self.masks[span]
        return crop(*with_alphas(images[span], masks, self.invert), names)

    def crop_file(self, video: Input.Video, crop: CropFrames) -> tuple[CroppedVideo, float]:
        """Crop frames of a VIDEO that has a file; only those that are needed are held in memory.

        Returns:
            The cropped frames, and the frame rate of those that they were chosen from.
        """
        monitor = ReadMonitor()
        with opened_video(video, monitor) as (source, available):
            monitor.begin_frames()
            self._check_masks(len(available))
            between = _between(self.start, self.end, len(available))
            candidates = available[between.start : between.stop]

            def read(num_read: int) -> VideoClip:
                count = min(num_read or len(candidates), len(candidates))
                width, height = video.get_dimensions()
                require_memory(f"{count} frames of {width}x{height}", count * width * height * PIXEL_BYTES)
                return read_frames(source, candidates, num_read)

            def crop_clip(clip: VideoClip) -> CroppedVideo:
                indices = [index - available.start for index in clip.indices]
                masks = None if self.masks is None else self.masks[indices]
                names = [f"frame {index}" for index in indices]
                return crop(*with_alphas(clip.frames, masks, self.invert), names)

            clip, cropped = read_object_frames(read, crop_clip, self.num_frames, subject="video")
        return cropped, clip.fps

    def _check_masks(self, count: int) -> None:
        """Raise ValueError unless there are no masks, or one for each of ``count`` frames."""
        if self.masks is not None and len(self.masks) != count:
            raise ValueError(
                f"mask: {len(self.masks)} masks for {count} images; expected one per image, from Remove "
                "Background of all frames, or no mask for images with alpha or a plain background."
            )


def _between(start: int, end: int, count: int) -> range:
    """Return the indices of the frames from ``start`` to ``end``, both included, of ``count`` frames."""
    last = count - 1 if end == -1 else end
    if not 0 <= start < count:
        raise ValueError(f"start: {start}; expected 0 to {count - 1}, the video has {count} images.")
    check_order(start, end)
    return range(start, min(last + 1, count))


def check_order(start: int, end: int) -> None:
    """Raise ValueError if the last frame is before the first; -1 is the last one of the video."""
    if end != -1 and end < start:
        raise ValueError(f"end: {end}; expected {start} (start) or more, or -1 for the last image.")


def with_alphas(
    images: torch.Tensor, masks: torch.Tensor | None, invert: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return images with the alpha of their masks, else their own, inverted if asked for.

    Alpha that is 1 everywhere separates nothing and is left out, as that of STAG4D Load Video for a video
    without alpha.
    """
    own = images[..., 3] if images.shape[-1] == 4 else None
    if invert and masks is None and own is None:
        raise ValueError(
            "invert_mask: there is no mask, and the images have no alpha; expected one of them, or False."
        )
    for alphas in (masks, own):
        if alphas is not None:
            opaque = 1 if alphas.is_floating_point() else 255
            alphas = opaque - alphas if invert else alphas
            if not (alphas >= opaque).all():
                return images, alphas
    return images[..., :3], None
