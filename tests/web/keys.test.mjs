// What keys and names of backgrounds mean.

import assert from "node:assert/strict";
import test from "node:test";

import { backgroundColor } from "../../web/viewer/background.mjs";
import { actionOf } from "../../web/viewer/keys.mjs";

/** Press a key and return what it called. */
function press(key, isShifted = false) {
  const calls = [];
  const recorder = new Proxy(
    {},
    {
      get:
        (_, name) =>
        (...values) =>
          calls.push([name, ...values]),
    },
  );
  actionOf(key, isShifted, recorder, recorder)?.();
  return calls;
}

test("arrows orbit, and move when shifted", () => {
  assert.deepEqual(press("ArrowRight"), [["orbit", 5, -0], ["settle"]]);
  assert.deepEqual(press("ArrowUp"), [["orbit", 0, 5], ["settle"]]);
  assert.deepEqual(press("ArrowLeft", true), [["pan", 0.04, -0], ["settle"]]);
});

test("comma and period step, space plays, digits and Home choose cameras, F fits", () => {
  assert.deepEqual(press(","), [["step", -1]]);
  assert.deepEqual(press("."), [["step", 1]]);
  assert.deepEqual(press(" "), [["toggle"]]);
  assert.deepEqual(press("3"), [["look", 3]]);
  assert.deepEqual(press("Home"), [["look", 0]]);
  assert.deepEqual(press("f"), [["fit"]]);
});

test("plus comes nearer as much as minus goes away", () => {
  const [[, nearer]] = press("+");
  const [[, farther]] = press("-");
  assert.ok(nearer < 1 && Math.abs(nearer * farther - 1) < 1e-12);
});

test("other keys are left to the page", () => {
  for (const key of ["a", "Tab", "Enter", "Escape", "Delete"]) assert.deepEqual(press(key), [], key);
});

test("backgrounds are named or a color, and anything else is refused", () => {
  assert.deepEqual(backgroundColor("checker"), [0, 0, 0, 0]);
  assert.deepEqual(backgroundColor("white"), [1, 1, 1, 1]);
  assert.deepEqual(backgroundColor("#ff8000"), [1, 128 / 255, 0, 1]);
  for (const wrong of ["red", "#fff", "", "toString", "#12345g"]) {
    assert.throws(() => backgroundColor(wrong), TypeError, wrong);
  }
});
