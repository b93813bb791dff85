"""Values of ComfyUI's sockets, exported as ``Types``."""

from io import BytesIO
from pathlib import Path

from torch import Tensor


class SPLAT:
    """B splats: positions, scales, rotations [B, N, ...], opacities [B, N, 1], sh [B, N, K, 3], counts."""

    def __init__(
        self,
        positions: Tensor,
        scales: Tensor,
        rotations: Tensor,
        opacities: Tensor,
        sh: Tensor,
        counts: Tensor | None = None,
    ) -> None:
        self.positions, self.scales, self.rotations = positions, scales, rotations
        self.opacities, self.sh, self.counts = opacities, sh, counts


class File3D:
    """A 3D file, on disk or in memory."""

    def __init__(self, source: str | BytesIO, file_format: str = "") -> None:
        self._source, self.format = source, file_format

    def get_bytes(self) -> bytes:
        return Path(self._source).read_bytes() if isinstance(self._source, str) else self._source.getvalue()
