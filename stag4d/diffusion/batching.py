"""How many frames go through the network at once: as many as fit, fewer when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch

from .out_of_memory import is_out_of_memory

_logger = logging.getLogger(__name__)

MAX_MEASURED_FRAMES = 8  # at once; more gain nothing
_BUSY_LATENTS = 2048  # in one call; a processor gains little from more
_SHARE_OF_FREE = 0.8  # of the free memory that a batch may take


class AdaptiveBatches:
    """Walks over frames in batches whose size it chooses and corrects.

    On CUDA the first frame goes alone, and what it takes decides how many fit; elsewhere small frames are
    put together until a call is large enough.

    Args:
        size: Frames per batch; None chooses.
        latent_pixels: Of one frame.
        device: Where the work is done.
    """

    def __init__(self, size: int | None, latent_pixels: int, device: torch.device) -> None:
        self._device = device
        self._is_measured = size is not None or device.type != "cuda"
        self.size = size or (max(_BUSY_LATENTS // latent_pixels, 1) if self._is_measured else 1)

    def run(
        self,
        frames: Sequence[int],
        work: Callable[[list[int]], None],
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        """Do the work on all frames, batch by batch, in order.

        Args:
            frames: Their numbers.
            work: Called with each batch; after running out of memory, again with half of it.
            on_batch: Called after each.

        Raises:
            RuntimeError: if one frame alone does not fit.
        """
        done = 0
        while done < len(frames):
            batch = list(frames[done : done + self.size])
            try:
                if self._is_measured:
                    work(batch)
                else:
                    self._measure(batch, work)
            except (RuntimeError, MemoryError) as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                self.size = len(batch) // 2
                _logger.warning(
                    "out of memory with %d frames at once; going on with %d.", len(batch), self.size
                )
            else:
                done += len(batch)
                on_batch()
                continue
            if self._device.type == "cuda":  # after the handler, which still holds the failed call's tensors
                torch.cuda.empty_cache()

    def _measure(self, batch: list[int], work: Callable[[list[int]], None]) -> None:
        """Do the work on one frame and choose the size by the memory that it took."""
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        work(batch)
        taken = torch.cuda.max_memory_allocated(self._device) - before
        idle = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        free = torch.cuda.mem_get_info(self._device)[0] + idle
        self.size = min(max(int(_SHARE_OF_FREE * free / max(taken, 1)), 1), MAX_MEASURED_FRAMES)
        self._is_measured = True
