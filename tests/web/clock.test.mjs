// Playback time: a scene of F frames plays for F / fps seconds, and shows each frame equally long.

import assert from "node:assert/strict";
import test from "node:test";

import { Clock } from "../../web/viewer/clock.mjs";

function playing(numFrames, fps) {
  return Object.assign(new Clock(numFrames, fps), { isPlaying: true });
}

/** Advance a clock and return its position after each step. */
function run(clock, seconds, steps) {
  return Array.from({ length: steps }, () => {
    clock.advance(seconds);
    return Math.round(clock.position * 1000) / 1000;
  });
}

test("a loop shows all frames equally long and starts over", () => {
  assert.deepEqual(run(playing(4, 10), 0.05, 9), [0.5, 1, 1.5, 2, 2.5, 3, 3, 0, 0.5]);
});

test("ping-pong reverses at both ends", () => {
  const clock = Object.assign(playing(4, 10), { isPingPong: true });
  assert.deepEqual(run(clock, 0.1, 9), [1, 2, 3, 2, 1, 0, 1, 2, 3]);
  const fast = Object.assign(playing(3, 10), { isPingPong: true });
  assert.deepEqual(run(fast, 0.7, 4), [1, 2, 1, 0]); // each step is three passes and a bit
});

test("speed multiplies the time, and a paused clock does not advance", () => {
  const clock = Object.assign(playing(10, 10), { speed: 2 });
  assert.deepEqual(run(clock, 0.1, 2), [2, 4]);
  clock.isPlaying = false;
  assert.deepEqual(run(clock, 0.1, 2), [4, 4]);
});

test("steps go to whole frames and wrap around", () => {
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

test("seeking is clamped to the frames, and time is 0 to 1", () => {
  const clock = new Clock(5, 10);
  clock.seek(99);
  assert.deepEqual([clock.position, clock.time, clock.seconds], [4, 1, 0.4]);
  clock.seek(-3);
  assert.deepEqual([clock.position, clock.time], [0, 0]);
});

test("a scene of one frame does not advance", () => {
  const clock = playing(1, 10);
  clock.isPingPong = true;
  assert.deepEqual(run(clock, 1, 2), [0, 0]);
  clock.step(1);
  assert.deepEqual([clock.position, clock.time], [0, 0]);
});
