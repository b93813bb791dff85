// Cameras: where they stand, and what turning, moving, zooming and fitting do.

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
import { readClip } from "../../web/viewer/clip.mjs";

const front = viewOfPose({ azimuth: 0, elevation: 0, radius: 2, fovy: 90 });

function near(found, wanted) {
  found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 1e-12, `${found}, not ${wanted}`));
}

test("azimuth 0 is on +z, grows to the camera's right, and positive elevation is above", () => {
  near(cameraAxes(front).center, [0, 0, 2]);
  near(cameraAxes(front).forward, [0, 0, -1]);
  near(cameraAxes(front).down, [0, -1, 0]);
  near(cameraAxes(orbit(front, 90, 0)).center, [2, 0, 0]);
  near(cameraAxes(orbit(front, 90, 0)).right, [0, 0, -1]);
  near(cameraAxes(orbit(front, 0, 30)).center, [0, 1, Math.sqrt(3)]);
});

test("a camera never turns over the pole, and its azimuth stays within half a turn", () => {
  assert.equal(orbit(front, 0, 500).elevation, 89.9);
  assert.equal(orbit(front, 0, -500).elevation, -89.9);
  assert.equal(orbit(front, 190, 0).azimuth, -170);
  assert.equal(orbit(front, -180, 0).azimuth, -180);
});

test("what is panned follows the pointer", () => {
  // at 90 degrees the picture is as high as twice the distance: a tenth of it is 0.4 units
  near(pan(front, 0.1, 0).target, [-0.4, 0, 0]);
  near(pan(front, 0, 0.1).target, [0, 0.4, 0]);
  near(pan(orbit(front, 90, 0), 0.1, 0).target, [0, 0, 0.4]);
});

test("zooming changes the distance and stops at both ends", () => {
  assert.equal(zoom(front, 2).radius, 4);
  assert.equal(zoom(front, 1e-9).radius, 0.05);
  assert.equal(zoom(front, 1e9).radius, 100);
});

test("a fitted sphere is just inside the picture's shorter side", () => {
  const sphere = { center: [1, 2, 3], radius: 1 };
  const wide = fit(front, sphere, 2);
  assert.deepEqual(wide.target, [1, 2, 3]);
  assert.ok(Math.abs(wide.radius - 1.1 * Math.SQRT2) < 1e-12);
  assert.ok(Math.abs(fit(front, sphere, 0.5).radius - 1.1 * Math.sqrt(5)) < 1e-12); // atan(1/2) to each side
  assert.deepEqual([wide.azimuth, wide.elevation, wide.fovy], [0, 0, 90]);
});

test("the sphere to fit holds the object's middle", async () => {
  const clip = await readClip(new Uint8Array(await readFile(new URL("data/golden.s4d", import.meta.url))));
  const { means } = JSON.parse(await readFile(new URL("data/golden.json", import.meta.url), "utf-8"))
    .frames[2];
  const { center, radius } = boundingSphere(clip, 2);
  [0, 1, 2].forEach((axis) => {
    const values = means.map((mean) => mean[axis]);
    assert.ok(Math.abs(center[axis] - (Math.min(...values) + Math.max(...values)) / 2) < 1e-5);
  });
  const distances = means.map((mean) => Math.hypot(...mean.map((value, axis) => value - center[axis])));
  assert.ok(Math.abs(radius - Math.max(...distances)) < 1e-5);
});

test("a view that is no view is refused with the name of what is wrong", () => {
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

test("views are the same up to rounding, whatever the turn", () => {
  assert.ok(sameView(front, { ...front, azimuth: 360.001 }));
  assert.ok(!sameView(front, { ...front, azimuth: 1 }));
  assert.ok(!sameView(front, { ...front, target: [0, 0.01, 0] }));
});
