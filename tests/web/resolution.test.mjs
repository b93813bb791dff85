// Adaptive resolution: fewer pixels while frames take too long, all of them when the image is still.

import assert from "node:assert/strict";
import test from "node:test";

import { AdaptiveResolution } from "../../web/viewer/resolution.mjs";

/** Return the resolution scales of a number of frames. */
function run(resolution, isMoving, seconds, count) {
  return Array.from({ length: count }, () => resolution.next(isMoving, seconds));
}

test("slow frames lower the resolution step by step, down to a minimum", () => {
  assert.deepEqual(run(new AdaptiveResolution(), true, 0.2, 8), [1, 1, 1, 0.7, 0.7, 0.7, 0.5, 0.5]);
  assert.equal(run(new AdaptiveResolution(), true, 0.2, 100).at(-1), 0.35);
});

test("fewer than three slow frames in a row keep the resolution", () => {
  const resolution = new AdaptiveResolution();
  for (let round = 0; round < 10; round++) {
    const scales = [resolution.next(true, 0.2), resolution.next(true, 0.2), resolution.next(true, 0.016)];
    assert.deepEqual(scales, [1, 1, 1]);
  }
});

test("a still image has full resolution, and the next movement starts one level finer", () => {
  const resolution = new AdaptiveResolution();
  run(resolution, true, 0.2, 7);
  assert.equal(resolution.next(false, 0.2), 1);
  assert.equal(resolution.next(true, 0.2), 0.7);
});
