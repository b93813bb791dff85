// Keyboard shortcuts and background names.

import assert from "node:assert/strict";
import test from "node:test";

import { backgroundColor } from "../../web/viewer/background.mjs";
import { actionOf } from "../../web/viewer/keys.mjs";

/** Press a key and return the calls that it made; with null as second scene, nothing is compared. */
function press(key, isShifted = false, second = {}) {
  const calls = [];
  const record = (_, name) => {
    return (...values) => calls.push([name, ...values]);
  };
  const parts = { help: { toggle: () => calls.push(["toggleHelp"]) }, comparison: { second } };
  const recorder = new Proxy({}, { get: (target, name) => target[name] ?? record(target, name) });
  actionOf(key, isShifted, recorder, recorder, Object.assign(recorder, parts))?.();
  return calls;
}

test("arrows orbit, and pan with Shift", () => {
  assert.deepEqual(press("ArrowRight"), [["orbit", 5, -0], ["end"]]);
  assert.deepEqual(press("ArrowUp"), [["orbit", 0, 5], ["end"]]);
  assert.deepEqual(press("ArrowLeft", true), [["pan", 0.04, -0], ["end"]]);
});

test("comma and period step, space plays, digits and Home select cameras, F fits", () => {
  assert.deepEqual(press(","), [["step", -1]]);
  assert.deepEqual(press("."), [["step", 1]]);
  assert.deepEqual(press(" "), [["toggle"]]);
  assert.deepEqual(press("3"), [["selectCamera", 3]]);
  assert.deepEqual(press("Home"), [["selectCamera", 0]]);
  assert.deepEqual(press("f"), [["fit"]]);
});

test("letters of either case set the loop range, the grid, the comparison; Shift+F fits all frames", () => {
  const commands = {
    i: "startLoopHere",
    o: "endLoopHere",
    x: "loopAll",
    g: "toggleGrid",
    b: "switchScene",
    w: "toggleWipe",
  };
  for (const [key, command] of Object.entries(commands)) {
    assert.deepEqual(press(key), [[command]]);
    assert.deepEqual(press(key.toUpperCase()), [[command]]);
  }
  assert.deepEqual(press("F", true), [["fitAll"]]);
  assert.deepEqual(press("F"), [["fit"]]); // Caps Lock
  assert.deepEqual(press("?", true), [["toggleHelp"]]);
});

test("without a second scene the keys of the comparison have no action", () => {
  assert.deepEqual(press("b", false, null), []);
  assert.deepEqual(press("w", false, null), []);
});

test("plus and minus are inverse zooms", () => {
  const [[, nearer]] = press("+");
  const [[, farther]] = press("-");
  assert.ok(nearer < 1 && Math.abs(nearer * farther - 1) < 1e-12);
});

test("other keys have no action", () => {
  for (const key of ["a", "Tab", "Enter", "Escape", "Delete"]) assert.deepEqual(press(key), [], key);
});

test("a background is a name or #rrggbb, and anything else is a TypeError", () => {
  assert.deepEqual(backgroundColor("checker"), [0, 0, 0, 0]);
  assert.deepEqual(backgroundColor("white"), [1, 1, 1, 1]);
  assert.deepEqual(backgroundColor("#ff8000"), [1, 128 / 255, 0, 1]);
  for (const wrong of ["red", "#fff", "", "toString", "#12345g"]) {
    assert.throws(() => backgroundColor(wrong), TypeError, wrong);
  }
});
