// The bounding sphere that "fit to view" frames: around the object, without outlying splats.

import { CODES_PER_TEXEL, frameStride } from "./s4d.mjs";

const QUANTILE = 0.98; // of coordinates and distances; what lies beyond is taken for outliers
const MAX_SAMPLES = 5000;

/**
 * Return a sphere around most of the splats of a frame.
 * @param {import("./s4d.mjs").S4DFile} file
 * @param {number} frame
 * @returns {{center: import("./camera.mjs").Vector, radius: number}}
 */
export function boundingSphere(file, frame) {
  const { numGaussians, grids } = file.header;
  const first = Math.min(frame, file.storedFrames - 1) * frameStride(file);
  const every = Math.ceil(numGaussians / MAX_SAMPLES);
  const count = Math.ceil(numGaussians / every);
  const axes = [0, 1, 2].map((axis) => {
    const { low, step } = grids.means;
    const start = first + axis;
    return Float64Array.from(
      { length: count },
      (_, i) => low[axis] + step[axis] * file.texels[start + i * every * CODES_PER_TEXEL],
    );
  });
  const [x, y, z] = axes.map((values) => {
    const sorted = values.slice().sort();
    return (quantile(sorted, 1 - QUANTILE) + quantile(sorted, QUANTILE)) / 2;
  });
  const distances = axes[0].map((_, i) => Math.hypot(axes[0][i] - x, axes[1][i] - y, axes[2][i] - z));
  return { center: [x, y, z], radius: Math.max(quantile(distances.sort(), QUANTILE), 1e-3) };
}

/**
 * @param {Float64Array} sorted
 * @param {number} q 0 to 1
 */
function quantile(sorted, q) {
  return sorted[Math.round(q * (sorted.length - 1))];
}
