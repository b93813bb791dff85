// Orbit cameras: axes, orbiting, panning, zooming and fitting.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import { boundingSphere } from "../../web/viewer/bounds.mjs";
import {
  cameraAxes,
  checkedView,
  fit,
  orbit,
  pan,
  sameView,
  viewOfPose,
  zoom,
} from "../../web/viewer/camera.mjs";
import { readS4D } from "../../web/viewer/s4d.mjs";

const front = viewOfPose({ azimuth: 0, elevation: 0, radius: 2, fovy: 90 });

function assertClose(found, wanted) {
  found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 1e-12, `${found}, not ${wanted}`));
}

test("azimuth 0 is on +z and grows to the camera's right, and positive elevation is above", () => {
  assertClose(cameraAxes(front).center, [0, 0, 2]);
  assertClose(cameraAxes(front).forward, [0, 0, -1]);
  assertClose(cameraAxes(front).down, [0, -1, 0]);
  assertClose(cameraAxes(orbit(front, 90, 0)).center, [2, 0, 0]);
  assertClose(cameraAxes(orbit(front, 90, 0)).right, [0, 0, -1]);
  assertClose(cameraAxes(orbit(front, 0, 30)).center, [0, 1, Math.sqrt(3)]);
});

test("elevation is clamped below 90 degrees, and azimuth is wrapped to -180 to 180", () => {
  assert.equal(orbit(front, 0, 500).elevation, 89.9);
  assert.equal(orbit(front, 0, -500).elevation, -89.9);
  assert.equal(orbit(front, 190, 0).azimuth, -170);
  assert.equal(orbit(front, -180, 0).azimuth, -180);
});

test("the target's plane follows the pointer when panned", () => {
  // at 90 degrees the image is as high as twice the distance: a tenth of it is 0.4 units
  assertClose(pan(front, 0.1, 0).target, [-0.4, 0, 0]);
  assertClose(pan(front, 0, 0.1).target, [0, 0.4, 0]);
  assertClose(pan(orbit(front, 90, 0), 0.1, 0).target, [0, 0, 0.4]);
});

test("zooming multiplies the distance, clamped to its range", () => {
  assert.equal(zoom(front, 2).radius, 4);
  assert.equal(zoom(front, 1e-9).radius, 0.05);
  assert.equal(zoom(front, 1e9).radius, 100);
});

test("a fitted sphere fills the image's shorter side up to a margin", () => {
  const sphere = { center: [1, 2, 3], radius: 1 };
  const wide = fit(front, sphere, 2);
  assert.deepEqual(wide.target, [1, 2, 3]);
  assert.ok(Math.abs(wide.radius - 1.1 * Math.SQRT2) < 1e-12);
  assert.ok(Math.abs(fit(front, sphere, 0.5).radius - 1.1 * Math.sqrt(5)) < 1e-12); // atan(1/2) to each side
  assert.deepEqual([wide.azimuth, wide.elevation, wide.fovy], [0, 0, 90]);
});

test("the bounding sphere is centered on the object", async () => {
  const file = await readS4D(new Uint8Array(await readFile(new URL("data/golden.s4d", import.meta.url))));
  const { means } = JSON.parse(await readFile(new URL("data/golden.json", import.meta.url), "utf-8"))
    .frames[2];
  const { center, radius } = boundingSphere(file, 2);
  [0, 1, 2].forEach((axis) => {
    const values = means.map((mean) => mean[axis]);
    assert.ok(Math.abs(center[axis] - (Math.min(...values) + Math.max(...values)) / 2) < 1e-5);
  });
  const distances = means.map((mean) => Math.hypot(...mean.map((value, axis) => value - center[axis])));
  assert.ok(Math.abs(radius - Math.max(...distances)) < 1e-5);
});

test("an invalid view is rejected with the name of the wrong number", () => {
  for (const [change, name] of [
    [{ azimuth: NaN }, "azimuth"],
    [{ radius: undefined }, "radius"],
    [{ fovy: "49" }, "fovy"],
    [{ target: [0, 0] }, "target\\[2\\]"],
    [{ target: null }, "target\\[0\\]"],
  ]) {
    assert.throws(() => checkedView({ ...front, ...change }), new RegExp(`^TypeError: view: ${name} is `));
  }
});

test("views are equal up to rounding and full turns", () => {
  assert.ok(sameView(front, { ...front, azimuth: 360.001 }));
  assert.ok(!sameView(front, { ...front, azimuth: 1 }));
  assert.ok(!sameView(front, { ...front, target: [0, 0.01, 0] }));
});
