// Where the object is: the bounding sphere that "fit" frames, the ground under it, and whether a camera shows
// it, all without outlying and without transparent splats.

import { cameraAxes, radians } from "./camera.mjs";
import { CODES_PER_TEXEL, frameStride } from "./s4d.mjs";

const QUANTILE = 0.98; // of coordinates and distances; what lies beyond is taken for outliers
const GROUND_QUANTILE = 0.005; // of heights: feet have few splats
const MIN_OPACITY = 0.05;
const MAX_SAMPLES = 5000; // splats of a frame
const MAX_FRAMES = 32; // of a scene
const MIN_RADIUS = 1e-3;

/** @typedef {import("./camera.mjs").Vector} Vector */

/**
 * @typedef {object} Bounds
 * @property {Vector} center
 * @property {number} radius of the sphere
 * @property {number} ground height of the lowest splats
 */

/**
 * Return the frames from which the bounds of a whole scene are computed, the first and the last among them.
 * @param {import("./s4d.mjs").S4DFile} file
 */
export function sampledFrames({ storedFrames }) {
  const count = Math.min(storedFrames, MAX_FRAMES);
  return Array.from({ length: count }, (_, i) =>
    Math.round((i * (storedFrames - 1)) / Math.max(count - 1, 1)),
  );
}

/**
 * Return a sphere around most of the splats of a frame.
 * @param {import("./s4d.mjs").S4DFile} file
 * @param {number} frame
 * @returns {Bounds}
 */
export function boundingSphere(file, frame) {
  return boundsOf(file, [frame]);
}

/**
 * Return a sphere around most of the splats of each of some frames, and the height of the ground under them.
 * @param {import("./s4d.mjs").S4DFile} file
 * @param {number[]} frames
 * @returns {Bounds}
 */
export function boundsOf(file, frames) {
  const samples = frames.map((frame) => samplePoints(file, frame, frames.length));
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  let ground = Infinity;
  for (const points of samples) {
    points.forEach((values, axis) => {
      const sorted = values.slice().sort();
      low[axis] = Math.min(low[axis], quantile(sorted, 1 - QUANTILE));
      high[axis] = Math.max(high[axis], quantile(sorted, QUANTILE));
      if (axis === 1) ground = Math.min(ground, quantile(sorted, GROUND_QUANTILE));
    });
  }
  const [x, y, z] = low.map((value, axis) => (value + high[axis]) / 2);
  const radii = samples.map(([xs, ys, zs]) => {
    const distances = xs.map((_, i) => Math.hypot(xs[i] - x, ys[i] - y, zs[i] - z));
    return quantile(distances.sort(), QUANTILE);
  });
  return { center: [x, y, z], radius: Math.max(...radii, MIN_RADIUS), ground };
}

/**
 * Return whether a camera's image holds the centers of most splats at each of some frames.
 * @param {import("./s4d.mjs").S4DFile} file
 * @param {number[]} frames
 * @param {import("./camera.mjs").View} view
 * @param {number} aspect width of the image by its height
 */
export function showsObject(file, frames, view, aspect) {
  const { right, down, forward, center } = cameraAxes(view);
  const tanY = Math.tan(radians(view.fovy) / 2);
  return frames.every((frame) => {
    const [xs, ys, zs] = samplePoints(file, frame, frames.length);
    let seen = 0;
    for (let i = 0; i < xs.length; i++) {
      const [x, y, z] = [xs[i] - center[0], ys[i] - center[1], zs[i] - center[2]];
      const along = (/** @type {Vector} */ axis) => axis[0] * x + axis[1] * y + axis[2] * z;
      const reach = along(forward) * tanY;
      if (Math.abs(along(down)) <= reach && Math.abs(along(right)) <= reach * aspect) seen += 1;
    }
    return seen >= QUANTILE * xs.length;
  });
}

/**
 * Return the coordinates of evenly chosen opaque splats of a frame: x, y and z.
 * @param {import("./s4d.mjs").S4DFile} file
 * @param {number} frame
 * @param {number} numFrames that share the number of samples
 */
function samplePoints(file, frame, numFrames) {
  const { numGaussians, grids } = file.header;
  const stored = Math.min(frame, file.storedFrames - 1);
  const colored = Math.min(stored, file.coloredFrames - 1) * file.width * file.height * 4;
  const [low, step] = [grids.opacities.low[0], grids.opacities.step[0]];
  const every = Math.ceil((numGaussians * Math.min(numFrames, 5)) / MAX_SAMPLES);
  const all = Array.from({ length: Math.ceil(numGaussians / every) }, (_, i) => i * every);
  const opaque = all.filter((index) => low + step * file.rgba[colored + 4 * index + 3] >= MIN_OPACITY);
  const indices = opaque.length ? opaque : all;
  return [0, 1, 2].map((axis) => {
    const start = stored * frameStride(file) + axis;
    const means = grids.means;
    return Float64Array.from(
      indices,
      (index) => means.low[axis] + means.step[axis] * file.texels[start + index * CODES_PER_TEXEL],
    );
  });
}

/**
 * @param {Float64Array} sorted
 * @param {number} q 0 to 1
 */
function quantile(sorted, q) {
  return sorted[Math.round(q * (sorted.length - 1))];
}
