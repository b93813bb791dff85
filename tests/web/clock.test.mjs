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

test("a loop range is played alone, and its last frame lasts as long as the others", () => {
  const clock = playing(8, 10);
  clock.setRange(2, 4);
  clock.seek(2);
  assert.deepEqual(run(clock, 0.05, 7), [2.5, 3, 3.5, 4, 4, 2, 2.5]);
  clock.isPingPong = true;
  clock.seek(3);
  assert.deepEqual(run(clock, 0.1, 5), [4, 3, 2, 3, 4]);
});

test("playback from outside of the loop range starts at its first frame; pauses, steps and seeks go anywhere", () => {
  const clock = playing(8, 10);
  clock.setRange(2, 4);
  clock.seek(6.5);
  assert.equal(clock.position, 6.5);
  assert.deepEqual(run(clock, 0.1, 2), [3, 4]);
  clock.isPlaying = false;
  clock.step(1);
  assert.equal(clock.position, 5);
});

test("a loop range is clamped to whole frames of the scene, and holds at least one", () => {
  const clock = playing(8, 10);
  const ranges = [
    [-3, 99],
    [3.4, 5.6],
    [6, 2],
  ].map(([first, last]) => {
    clock.setRange(first, last);
    return clock.range;
  });
  assert.deepEqual(ranges, [
    [0, 7],
    [3, 6],
    [6, 6],
  ]);
  assert.deepEqual(run(clock, 0.5, 2), [6, 6]);
  assert.equal(clock.loopsAll, false);
  clock.setRange(0, 7);
  assert.equal(clock.loopsAll, true);
});

test("positions in the loop run over the range once, or forward and back", () => {
  const clock = new Clock(8, 10);
  clock.setRange(2, 4);
  const positions = () =>
    Array.from({ length: clock.loopLength }, (_, played) => clock.positionInLoop(played));
  assert.deepEqual(positions(), [2, 3, 4]);
  assert.equal(clock.positionInLoop(2.75), 4); // the last frame lasts as long as the others
  clock.isPingPong = true;
  assert.deepEqual(positions(), [2, 3, 4, 3]);
  assert.equal(clock.positionInLoop(2.75), 3.25);
  clock.setRange(5, 5);
  assert.deepEqual(positions(), [5]);
});
