// Bounds of an object, whether a camera shows it, and the cells of the grid under it.

import assert from "node:assert/strict";
import test from "node:test";

import { boundsOf, sampledFrames, showsObject } from "../../web/viewer/bounds.mjs";
import { viewOfPose } from "../../web/viewer/camera.mjs";
import { cellSize, isAboveGround } from "../../web/viewer/grid.mjs";

/**
 * Return a file whose frames have splats at given points.
 * @param {number[][][]} frames points by frame
 * @param {number[]} opacities of the splats, 0 to 1
 */
function fileOf(frames, opacities = frames[0].map(() => 1)) {
  const width = frames[0].length;
  const texels = new Uint16Array(frames.length * width * 8);
  frames.flat().forEach((point, i) => point.forEach((x, axis) => (texels[8 * i + axis] = (x + 32) * 1000)));
  const rgba = new Uint16Array(4 * width);
  opacities.forEach((opacity, i) => (rgba[4 * i + 3] = 1000 * opacity));
  const grids = {
    means: { low: [-32, -32, -32], step: [1e-3, 1e-3, 1e-3] },
    opacities: { low: [0], step: [1e-3] },
  };
  const header = { numGaussians: width, numFrames: frames.length, grids };
  return { header, width, height: 1, texels, storedFrames: frames.length, rgba, coloredFrames: 1 };
}

const CUBE = [-1, 1].flatMap((x) => [-1, 1].flatMap((y) => [-1, 1].map((z) => [x, y, z])));
const moved = (points, right) => points.map(([x, y, z]) => [x + right, y, z]);
const near = (found, expected) => assert.ok(Math.abs(found - expected) < 0.01, `${found}, not ${expected}`);

test("the bounds of several frames hold the object at each of them", () => {
  const { center, radius, ground } = boundsOf(fileOf([CUBE, moved(CUBE, 4)]), [0, 1]);
  center.forEach((value, axis) => near(value, [2, 0, 0][axis]));
  near(radius, Math.hypot(3, 1, 1));
  near(ground, -1);
});

test("transparent splats, such as the padding of unrelated frames, are outside of the object", () => {
  const file = fileOf([[...CUBE, ...moved(CUBE, 20)]], [...CUBE.map(() => 1), ...CUBE.map(() => 0)]);
  const { center, radius } = boundsOf(file, [0]);
  near(center[0], 0);
  near(radius, Math.sqrt(3));
});

test("a camera shows the object if its image holds it at all frames", () => {
  const view = viewOfPose({ azimuth: 0, elevation: 0, radius: 6, fovy: 49.1 });
  const still = fileOf([CUBE]);
  assert.equal(showsObject(still, [0], view, 1), true);
  assert.equal(showsObject(still, [0], view, 0.3), false); // a narrow image
  assert.equal(showsObject(still, [0], { ...view, radius: 2.5 }, 1), false);
  assert.equal(showsObject(still, [0], { ...view, radius: 0.5 }, 1), false); // from inside
  assert.equal(showsObject(fileOf([CUBE, moved(CUBE, 4)]), [0, 1], view, 1), false);
});

test("first and last frame are among those that bounds are computed from", () => {
  assert.deepEqual(sampledFrames({ storedFrames: 1 }), [0]);
  assert.deepEqual(sampledFrames({ storedFrames: 3 }), [0, 1, 2]);
  const many = sampledFrames({ storedFrames: 500 });
  assert.deepEqual([many.length, many[0], many.at(-1)], [32, 0, 499]);
});

test("cells are 1, 2 or 5 times a power of ten, two and a half to six to the object's radius", () => {
  for (const radius of [0.004, 0.3, 1, 1.7, 2.5, 60]) {
    const cell = cellSize(radius);
    near(Number(cell.toPrecision(1)) / cell, 1);
    assert.match(cell.toExponential(), /^[125](\.0+)?e|^[125]e/);
    assert.ok(radius / cell >= 2.5 - 1e-9 && radius / cell <= 6.25 + 1e-9, `${radius}: ${cell}`);
  }
});

test("the ground is behind the object from above and in front of it from below", () => {
  const bounds = { center: [0, 0, 0], radius: 1, ground: -0.5 };
  const at = (elevation) => viewOfPose({ azimuth: 30, elevation, radius: 2, fovy: 40 });
  assert.deepEqual(
    [10, 0, -60].map((elevation) => isAboveGround(at(elevation), bounds)),
    [true, true, false],
  );
});
