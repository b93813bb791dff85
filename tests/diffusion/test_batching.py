"""How many frames go at once: measured on a GPU, halved when memory runs out, whatever the error says."""

import errno
import itertools

import pytest
import torch

from stag4d.diffusion import MAX_MEASURED_FRAMES
from stag4d.diffusion.batching import AdaptiveBatches
from stag4d.diffusion.out_of_memory import is_out_of_memory

CPU, GPU = torch.device("cpu"), torch.device("cuda")
PIXELS = 9600


class AcceleratorError(RuntimeError):
    """As torch raises it where a call of the driver fails."""

    def __init__(self, message, error_code):
        super().__init__(message)
        self.error_code = error_code


OUT_OF_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.cuda.OutOfMemoryError(),
    AcceleratorError("CUDA error: out of memory", 2),
    AcceleratorError("CUDA error", 2),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    MemoryError(),
]
OTHER = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    AcceleratorError("CUDA error: an illegal memory access was encountered", 700),
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("out of memory"),
    KeyboardInterrupt("out of memory"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=repr)
def test_every_way_of_saying_it_is_known(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHER, ids=repr)
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)


def test_what_the_processors_allocator_says_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", OUT_OF_MEMORY[:-2], ids=repr)
def test_the_batch_is_halved_until_it_fits_and_every_frame_is_done_once(error, caplog):
    done = []

    def work(batch):
        if len(batch) > 2:
            raise error
        done.extend(batch)

    batches = AdaptiveBatches(8, PIXELS, CPU)
    batches.run(range(7), work)
    assert done == list(range(7))
    assert batches.size == 1  # 7 at once, 3, 1
    assert caplog.messages == [
        "out of memory with 7 frames at once; going on with 3.",
        "out of memory with 3 frames at once; going on with 1.",
    ]


def test_one_frame_that_does_not_fit_is_an_error():
    def work(batch):
        raise torch.cuda.OutOfMemoryError("out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        AdaptiveBatches(4, 1, CPU).run([0, 1], work)


def test_another_error_is_not_tried_again():
    tried = []

    def work(batch):
        tried.append(batch)
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        AdaptiveBatches(4, 1, CPU).run(range(4), work)
    assert tried == [[0, 1, 2, 3]]


def test_without_a_gpu_small_grids_go_together():
    assert [AdaptiveBatches(None, pixels, CPU).size for pixels in (384, 2048, 9600)] == [5, 1, 1]


class Gpu:
    """A GPU's memory, in units: what a frame takes while it is worked on, and what is kept."""

    def __init__(self, total: int, per_frame: int, weights: int = 10, cached: int = 0) -> None:
        self.total, self.per_frame, self.allocated, self.cached = total, per_frame, weights, cached
        self.peak, self.num_emptied = 0, 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(torch.cuda, "reset_peak_memory_stats", self.reset)
        patch.setattr(torch.cuda, "memory_allocated", lambda device: self.allocated)
        patch.setattr(torch.cuda, "max_memory_allocated", lambda device: self.peak)
        patch.setattr(torch.cuda, "memory_reserved", lambda device: self.allocated + self.cached)
        patch.setattr(
            torch.cuda, "mem_get_info", lambda device: (self.total - self.allocated - self.cached, self.total)
        )
        patch.setattr(torch.cuda, "empty_cache", self.empty)

    def reset(self, device: torch.device) -> None:
        self.peak = self.allocated

    def empty(self) -> None:
        self.cached, self.num_emptied = 0, self.num_emptied + 1

    def work(self, batch: list[int]) -> None:
        needed = self.allocated + self.per_frame * len(batch)
        if needed > self.total:
            raise torch.cuda.OutOfMemoryError("out of memory")
        self.peak = max(self.peak, needed)
        self.cached = max(self.cached, self.peak - self.allocated)  # torch keeps it


def sizes_on(gpu: Gpu, monkeypatch, count: int = 20, size: int | None = None) -> list[int]:
    """Return the sizes of the batches that were done."""
    gpu.install(monkeypatch)
    done, marks = [], []

    def work(batch):
        gpu.work(batch)
        done.extend(batch)

    AdaptiveBatches(size, PIXELS, GPU).run(range(count), work, lambda: marks.append(len(done)))
    assert done == list(range(count))
    return [after - before for before, after in itertools.pairwise([0, *marks])]


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1000, [1, 8, 8, 3]),  # 0.8 * 990 / 10 = 79, but no more than 8 at once
        (80, [1, 5, 5, 5, 4]),  # 0.8 * 70 / 10 = 5.6
        (25, [1] * 20),  # 0.8 * 15 / 10 = 1.2
        (20, [1] * 20),  # 0.8 * 10 / 10 = 0.8, and one at least
    ],
)
def test_the_first_frame_goes_alone_and_says_how_many_fit(monkeypatch, total, expected):
    assert MAX_MEASURED_FRAMES == 8
    assert sizes_on(Gpu(total, per_frame=10), monkeypatch) == expected


def test_what_torch_keeps_counts_as_free(monkeypatch):
    assert sizes_on(Gpu(80, per_frame=10, cached=60), monkeypatch) == [1, 5, 5, 5, 4]


def test_peaks_of_the_past_do_not_count(monkeypatch):
    gpu = Gpu(80, per_frame=10)
    gpu.peak = 79
    assert sizes_on(gpu, monkeypatch) == [1, 5, 5, 5, 4]


def test_a_size_that_is_given_is_not_measured_but_halved(monkeypatch):
    gpu = Gpu(55, per_frame=10)
    assert sizes_on(gpu, monkeypatch, count=9, size=8) == [4, 4, 1]
    assert gpu.num_emptied == 1


def test_a_first_frame_that_does_not_fit_is_an_error(monkeypatch):
    with pytest.raises(torch.cuda.OutOfMemoryError):
        sizes_on(Gpu(15, per_frame=10), monkeypatch)
