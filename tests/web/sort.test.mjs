// The drawing order: back to front, at any time between two frames.

import assert from "node:assert/strict";
import test from "node:test";

import { CODES_PER_TEXEL, frameStride } from "../../web/viewer/s4d.mjs";
import { DepthSorter } from "../../web/viewer/sort.mjs";

const range = (count) => Array.from({ length: count }, (_, i) => i);

/** An .s4d file of splats at random positions in two frames; position = -1 + code / 32768. */
function randomFile(count, seed) {
  let state = seed;
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) % 65536;
  const means = { low: [-1, -1, -1], step: [1, 1, 1].map((x) => x / 32768) };
  const file = { header: { numGaussians: count, grids: { means } }, width: count, height: 1 };
  file.texels = new Uint16Array(2 * frameStride(file)).map(random);
  return file;
}

test("depths never increase along the order", () => {
  const file = randomFile(500, 7);
  const second = frameStride(file);
  const directions = [
    [0, 0, -1],
    [0.6, -0.48, 0.64],
    [-1, 0, 0],
  ];
  for (const forward of directions) {
    for (const fraction of [0, 0.3, 1]) {
      const order = new Uint32Array(500);
      new DepthSorter(file).sort(0, second, fraction, forward, order);
      const indices = [...order].sort((a, b) => a - b);
      assert.deepEqual(indices, range(500));
      const depthOf = (i) =>
        forward.reduce((sum, x, axis) => {
          const at = (start) => file.texels[start + i * CODES_PER_TEXEL + axis] / 32768 - 1;
          return sum + x * (at(0) + (at(second) - at(0)) * fraction);
        }, 0);
      const depths = [...order].map(depthOf);
      for (const [i, depth] of depths.slice(1).entries()) {
        assert.ok(depth <= depths[i] + 1e-4, `${depths[i]}, then ${depth}`);
      }
    }
  }
});

test("among splats of equal depth the first is the nearest", () => {
  const file = randomFile(40, 1);
  file.texels.fill(1000);
  const order = new Uint32Array(40);
  new DepthSorter(file).sort(0, 0, 0, [0, 0, -1], order);
  assert.deepEqual([...order], range(40).reverse());
});
