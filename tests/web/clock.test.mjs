// Time: a clip of F frames takes F / fps seconds, and is at F - 1 as long as at any other frame.

import assert from "node:assert/strict";
import test from "node:test";

import { Clock } from "../../web/viewer/clock.mjs";

function playing(numFrames, fps) {
  return Object.assign(new Clock(numFrames, fps), { isPlaying: true });
}

/** Let a clock run and return where it is after each step. */
function run(clock, seconds, steps) {
  return Array.from({ length: steps }, () => {
    clock.advance(seconds);
    return Math.round(clock.position * 1000) / 1000;
  });
}

test("a loop shows every frame equally long and starts over", () => {
  assert.deepEqual(run(playing(4, 10), 0.05, 9), [0.5, 1, 1.5, 2, 2.5, 3, 3, 0, 0.5]);
});

test("ping-pong turns around at both ends", () => {
  const clock = Object.assign(playing(4, 10), { isPingPong: true });
  assert.deepEqual(run(clock, 0.1, 9), [1, 2, 3, 2, 1, 0, 1, 2, 3]);
  const hasty = Object.assign(playing(3, 10), { isPingPong: true });
  assert.deepEqual(run(hasty, 0.7, 4), [1, 2, 1, 0]); // three times there and back again, and on
});

test("speed multiplies, and a paused clock stands", () => {
  const clock = Object.assign(playing(10, 10), { speed: 2 });
  assert.deepEqual(run(clock, 0.1, 2), [2, 4]);
  clock.isPlaying = false;
  assert.deepEqual(run(clock, 0.1, 2), [4, 4]);
});

test("steps go to whole frames and around the ends", () => {
  const clock = new Clock(4, 10);
  clock.seek(1.3);
  clock.step(1);
  assert.equal(clock.position, 2);
  clock.seek(1.3);
  clock.step(-1);
  assert.equal(clock.position, 1);
  clock.step(-1);
  clock.step(-1);
  assert.equal(clock.position, 3);
  clock.step(1);
  assert.equal(clock.position, 0);
});

test("seeking stays within the clip, and time is 0 to 1", () => {
  const clock = new Clock(5, 10);
  clock.seek(99);
  assert.deepEqual([clock.position, clock.time, clock.seconds], [4, 1, 0.4]);
  clock.seek(-3);
  assert.deepEqual([clock.position, clock.time], [0, 0]);
});

test("a clip of one frame stands still", () => {
  const clock = playing(1, 10);
  clock.isPingPong = true;
  assert.deepEqual(run(clock, 1, 2), [0, 0]);
  clock.step(1);
  assert.deepEqual([clock.position, clock.time], [0, 0]);
});
