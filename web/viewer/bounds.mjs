// What "fit" looks at: a sphere around the object, without the strays that float about it.

import { frameHalves, TEXEL_HALVES } from "./clip.mjs";

const INSIDE = 0.98; // share of the splats that the sphere reaches
const MAX_SAMPLES = 5000;

/**
 * Return a sphere around most of the splats of a frame.
 * @param {import("./clip.mjs").Clip} clip
 * @param {number} frame
 * @returns {{center: import("./camera.mjs").Vector, radius: number}}
 */
export function boundingSphere(clip, frame) {
  const { numGaussians, grids } = clip.header;
  const first = Math.min(frame, clip.storedFrames - 1) * frameHalves(clip);
  const every = Math.ceil(numGaussians / MAX_SAMPLES);
  const count = Math.ceil(numGaussians / every);
  const axes = [0, 1, 2].map((axis) => {
    const { low, step } = grids.means;
    const start = first + axis;
    return Float64Array.from(
      { length: count },
      (_, i) => low[axis] + step[axis] * clip.halves[start + i * every * TEXEL_HALVES],
    );
  });
  const [x, y, z] = axes.map((values) => {
    const sorted = values.slice().sort();
    return (quantile(sorted, 1 - INSIDE) + quantile(sorted, INSIDE)) / 2;
  });
  const distances = axes[0].map((_, i) => Math.hypot(axes[0][i] - x, axes[1][i] - y, axes[2][i] - z));
  return { center: [x, y, z], radius: Math.max(quantile(distances.sort(), INSIDE), 1e-3) };
}

/**
 * @param {Float64Array} sorted
 * @param {number} share
 */
function quantile(sorted, share) {
  return sorted[Math.round(share * (sorted.length - 1))];
}
