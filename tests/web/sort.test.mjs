// The drawing order: far before near, at any moment between two frames.

import assert from "node:assert/strict";
import test from "node:test";

import { frameHalves, TEXEL_HALVES } from "../../web/viewer/clip.mjs";
import { DepthSorter } from "../../web/viewer/sort.mjs";

/** A clip of splats at random places in two frames; position = -1 + code / 32768. */
function randomClip(count, seed) {
  let state = seed;
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) % 65536;
  const clip = {
    header: {
      numGaussians: count,
      grids: { means: { low: [-1, -1, -1], step: [1, 1, 1].map((x) => x / 32768) } },
    },
    width: count,
    height: 1,
  };
  clip.halves = new Uint16Array(2 * frameHalves(clip)).map(random);
  return clip;
}

test("depths never grow along the order", () => {
  const clip = randomClip(500, 7);
  const second = frameHalves(clip);
  for (const forward of [
    [0, 0, -1],
    [0.6, -0.48, 0.64],
    [-1, 0, 0],
  ]) {
    for (const mix of [0, 0.3, 1]) {
      const order = new Uint32Array(500);
      new DepthSorter(clip).sort(0, second, mix, forward, order);
      assert.deepEqual(
        [...order].sort((a, b) => a - b),
        Array.from({ length: 500 }, (_, i) => i),
      );
      const depthOf = (i) =>
        forward.reduce((sum, x, axis) => {
          const [a, b] = [0, second].map((start) => clip.halves[start + i * TEXEL_HALVES + axis] / 32768 - 1);
          return sum + x * (a + (b - a) * mix);
        }, 0);
      const depths = [...order].map(depthOf);
      depths
        .slice(1)
        .forEach((depth, i) => assert.ok(depth <= depths[i] + 1e-4, `${depths[i]}, then ${depth}`));
    }
  }
});

test("of equally deep splats the first is the nearest", () => {
  const clip = randomClip(40, 1);
  clip.halves.fill(1000);
  const order = new Uint32Array(40);
  new DepthSorter(clip).sort(0, 0, 0, [0, 0, -1], order);
  assert.deepEqual(
    [...order],
    Array.from({ length: 40 }, (_, i) => 39 - i),
  );
});
