// Fewer pixels while a picture moves too slowly, all of them when it stands still.

import assert from "node:assert/strict";
import test from "node:test";

import { Detail } from "../../web/viewer/detail.mjs";

/** Return the shares of a number of pictures. */
function run(detail, isMoving, seconds, count) {
  return Array.from({ length: count }, () => detail.next(isMoving, seconds));
}

test("a slow movement gets coarser step by step, and stops doing so", () => {
  assert.deepEqual(run(new Detail(), true, 0.2, 8), [1, 1, 1, 0.7, 0.7, 0.7, 0.5, 0.5]);
  assert.equal(run(new Detail(), true, 0.2, 100).at(-1), 0.35);
});

test("a single slow picture, or a fast movement, changes nothing", () => {
  const detail = new Detail();
  for (let round = 0; round < 10; round++) {
    assert.deepEqual([detail.next(true, 0.2), detail.next(true, 0.2), detail.next(true, 0.016)], [1, 1, 1]);
  }
});

test("what stands still has all its pixels, and the next movement begins a little finer", () => {
  const detail = new Detail();
  run(detail, true, 0.2, 7);
  assert.equal(detail.next(false, 0.2), 1);
  assert.equal(detail.next(true, 0.2), 0.7);
});
