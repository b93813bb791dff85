"""Thresholds and limits of the reference backend; the meaning of each is gsplat's."""

import torch

TILE_SIZE = 16  # pixels
# The float32 values, in float64 too: two splats at the maximum alpha leave (1 - MAX_ALPHA)^2, which is just
# below the minimum transmittance with the rounded numbers and would be just above it with float64 ones.
MIN_ALPHA = float(torch.tensor(1.0 / 255.0, dtype=torch.float32))
MAX_ALPHA = float(torch.tensor(0.99, dtype=torch.float32))
MIN_TRANSMITTANCE = float(torch.tensor(1e-4, dtype=torch.float32))
MAX_EXTENT = 3.33  # standard deviations
FAR_PLANE = 1e10
MAX_RADIUS = 2.0**30  # pixels; keeps int32 from overflowing
FOV_MARGIN = 0.3  # of the tangent of half the field of view
