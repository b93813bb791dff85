// The order in which splats are drawn: far before near, as blending over wants it.

import { TEXEL_HALVES } from "./clip.mjs";

const BUCKETS = 65536;

/** Sorts the splats of one clip; one counting sort over their depths, on the main thread. */
export class DepthSorter {
  #clip;
  #depths;
  #keys;
  #starts = new Uint32Array(BUCKETS + 1);

  /** @param {import("./clip.mjs").Clip} clip */
  constructor(clip) {
    this.#clip = clip;
    this.#depths = new Float32Array(clip.header.numGaussians);
    this.#keys = new Uint16Array(clip.header.numGaussians);
  }

  /**
   * Sort by depth at a moment between two frames. Of equally deep splats the one with the lowest index counts
   * as the nearest.
   * @param {number} first texel of the earlier frame's first splat, in halves
   * @param {number} second the same of the later frame
   * @param {number} mix 0 at the earlier, 1 at the later
   * @param {number[]} forward the camera's viewing direction
   * @param {Uint32Array} order where the splats' indices go, farthest first
   */
  sort(first, second, mix, forward, order) {
    const { halves, header } = this.#clip;
    const { step } = header.grids.means;
    const [x, y, z] = [forward[0] * step[0], forward[1] * step[1], forward[2] * step[2]];
    const count = header.numGaussians;
    const depths = this.#depths;
    let nearest = Infinity;
    let farthest = -Infinity;
    for (let i = 0, a = first, b = second; i < count; i++, a += TEXEL_HALVES, b += TEXEL_HALVES) {
      const here = x * halves[a] + y * halves[a + 1] + z * halves[a + 2];
      const there = x * halves[b] + y * halves[b + 1] + z * halves[b + 2];
      const depth = (depths[i] = here + (there - here) * mix);
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
