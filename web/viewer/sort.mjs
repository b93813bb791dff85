// The drawing order of the splats: back to front, as alpha blending needs it.

import { CODES_PER_TEXEL } from "./s4d.mjs";

const BUCKETS = 65536;

/** Sorts the splats of one file by depth: one counting sort, on the main thread. */
export class DepthSorter {
  #file;
  #depths;
  #keys;
  #starts = new Uint32Array(BUCKETS + 1);

  /** @param {import("./s4d.mjs").S4DFile} file */
  constructor(file) {
    this.#file = file;
    this.#depths = new Float32Array(file.header.numGaussians);
    this.#keys = new Uint16Array(file.header.numGaussians);
  }

  /**
   * Sort by depth at a time between two frames. Among splats of equal depth the lowest index is the nearest.
   * @param {number} first offset of the earlier frame in the file's texels
   * @param {number} second offset of the later frame
   * @param {number} fraction 0 at the earlier frame, 1 at the later
   * @param {number[]} forward the camera's viewing direction
   * @param {Uint32Array} order receives the splats' indices, farthest first
   */
  sort(first, second, fraction, forward, order) {
    const { texels, header } = this.#file;
    const { step } = header.grids.means;
    const [x, y, z] = [forward[0] * step[0], forward[1] * step[1], forward[2] * step[2]];
    const count = header.numGaussians;
    const depths = this.#depths;
    let nearest = Infinity;
    let farthest = -Infinity;
    for (let i = 0, a = first, b = second; i < count; i++, a += CODES_PER_TEXEL, b += CODES_PER_TEXEL) {
      const earlier = x * texels[a] + y * texels[a + 1] + z * texels[a + 2];
      const later = x * texels[b] + y * texels[b + 1] + z * texels[b + 2];
      const depth = (depths[i] = earlier + (later - earlier) * fraction);
      if (depth < nearest) nearest = depth;
      if (depth > farthest) farthest = depth;
    }
    const keys = this.#keys;
    const starts = this.#starts.fill(0);
    const scale = (BUCKETS - 1) / Math.max(farthest - nearest, 1e-12);
    for (let i = 0; i < count; i++) {
      keys[i] = (farthest - depths[i]) * scale;
      starts[keys[i] + 1]++;
    }
    for (let key = 0; key < BUCKETS; key++) starts[key + 1] += starts[key];
    for (let i = count - 1; i >= 0; i--) order[starts[keys[i]]++] = i;
  }
}
