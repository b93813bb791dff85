"""Order and number of the frames per UNet call of the denoiser: as many as fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from .out_of_memory import is_out_of_memory
from .sampling_config import Anchor

_logger = logging.getLogger(__name__)

MAX_MEASURED_FRAMES = 32  # per call, where the size is measured
FRAMES_TO_FREE = 8  # per call, for which an application is asked to free memory; more are a smaller gain
_CPU_LATENT_PIXELS = 2048  # per call; a CPU gains little from more
_SHARE_OF_FREE = 0.8  # of the free memory that a batch may take


class AdaptiveBatches:
    """Splits frames into batches whose size follows the memory that a batch takes.

    On CUDA the first frame is a batch by itself, and the memory that it takes decides how many fit; elsewhere
    small frames are put together until a call has enough work.

    Args:
        size: Frames per batch; None chooses.
        latent_pixels: Latent pixels of one frame.
        device: Device of the UNet.
    """

    def __init__(self, size: int | None, latent_pixels: int, device: torch.device) -> None:
        self._device = device
        self._must_measure = size is None and device.type == "cuda"
        self._is_done = True  # False after an attempt that ran out of memory
        self.size = size or (1 if self._must_measure else max(_CPU_LATENT_PIXELS // latent_pixels, 1))

    def of(self, frames: Sequence[int]) -> Iterator[list[int]]:
        """Yield batches of frames in order; one whose attempt ran out of memory is yielded again, halved."""
        start = 0
        while start < len(frames):
            batch = list(frames[start : start + self.size])
            yield batch
            if self._is_done:
                start += len(batch)
            elif self._device.type == "cuda":
                torch.cuda.empty_cache()  # not in ``attempt``, where the exception keeps its tensors alive

    @contextmanager
    def attempt(self, batch: Sequence[int], release: Callable[[], None]) -> Iterator[None]:
        """Run the block, the work on a batch; running out of memory halves the batch size instead of raising.

        Args:
            batch: The frames.
            release: Called after running out of memory, to free what the block has stored.

        Raises:
            RuntimeError: if memory runs out with a single frame.
        """
        before = self._start_measuring()
        self._is_done = False
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            release()
            self.size = len(batch) // 2
            _logger.warning("out of memory with %d frames per call; trying %d.", len(batch), self.size)
        else:
            self._is_done = True
            if self._must_measure:
                self._choose_size(before)

    def _start_measuring(self) -> int:
        """Return the bytes that are allocated before a batch; 0 if it is not measured."""
        if not self._must_measure:
            return 0
        torch.cuda.reset_peak_memory_stats(self._device)
        return torch.cuda.memory_allocated(self._device)

    def _choose_size(self, before: int) -> None:
        """Set the batch size from the memory that one frame took beyond ``before`` bytes."""
        taken = torch.cuda.max_memory_allocated(self._device) - before
        # Memory that PyTorch keeps for reuse is free for the next batch, though not in the driver's count.
        idle = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        free = torch.cuda.mem_get_info(self._device)[0] + idle
        self.size = min(max(int(_SHARE_OF_FREE * free / max(taken, 1)), 1), MAX_MEASURED_FRAMES)
        self._must_measure = False


def anchor_first(anchor: Anchor | None, num_frames: int) -> list[int]:
    """Return all frames with the anchor frame first, whose tokens the others need."""
    order = list(range(num_frames))
    if anchor is not None:
        order.remove(anchor.frame)
        order.insert(0, anchor.frame)
    return order
