// The ground grid and the axes gizmo, as lines on a 2D canvas. X is red, Y (up) green, Z blue.

import { cameraAxes, radians } from "./camera.mjs";

/** @typedef {import("./camera.mjs").View} View */
/** @typedef {import("./camera.mjs").Vector} Vector */

const CELLS = 10; // from the grid's center to each edge
const CELLS_PER_RADIUS = 2.5; // of the object's bounding sphere, at least; at most twice as many
const NEAR = 0.01;
const LINE = "rgb(128 128 128 / 0.5)";
const AXIS_COLORS = ["#e5484d", "#46a758", "#3e7bfa"];
const GIZMO_LENGTH = 24; // CSS pixels
const GIZMO_MARGIN = 40;

/**
 * Return the size of the grid's cells: 1, 2 or 5 times a power of ten, world units.
 * @param {number} radius of the object's bounding sphere
 */
export function cellSize(radius) {
  const largest = radius / CELLS_PER_RADIUS;
  const power = 10 ** Math.floor(Math.log10(largest));
  return power * (largest >= 5 * power ? 5 : largest >= 2 * power ? 2 : 1);
}

/**
 * Return whether the ground is behind all that stands on it: then the grid is rendered before the splats,
 * else after them.
 * @param {View} view
 * @param {import("./bounds.mjs").Bounds} bounds
 */
export function isAboveGround(view, { ground }) {
  return cameraAxes(view).center[1] >= ground;
}

/**
 * Draw a grid on the ground, around the object; the lines through the world's origin have their axis's color.
 * @param {CanvasRenderingContext2D} target
 * @param {View} view
 * @param {import("./bounds.mjs").Bounds} bounds
 */
export function drawGrid(target, view, { center, radius, ground }) {
  const cell = cellSize(radius);
  const [x, z] = [Math.round(center[0] / cell), Math.round(center[2] / cell)]; // in cells
  const line = lineDrawer(target, view);
  for (let i = -CELLS; i <= CELLS; i++) {
    const [atX, atZ] = [(x + i) * cell, (z + i) * cell];
    line([(x - CELLS) * cell, ground, atZ], [(x + CELLS) * cell, ground, atZ], z + i ? LINE : AXIS_COLORS[0]);
    line([atX, ground, (z - CELLS) * cell], [atX, ground, (z + CELLS) * cell], x + i ? LINE : AXIS_COLORS[2]);
  }
}

/**
 * Draw the directions of the world's axes in the lower left corner.
 * @param {CanvasRenderingContext2D} target
 * @param {View} view
 */
export function drawAxes(target, view) {
  const unit = cssPixel(target);
  const { right, down, forward } = cameraAxes(view);
  const [x, y] = [GIZMO_MARGIN * unit, target.canvas.height - GIZMO_MARGIN * unit];
  target.lineWidth = 2 * unit;
  target.font = `600 ${11 * unit}px system-ui, sans-serif`;
  target.textAlign = "center";
  target.textBaseline = "middle";
  for (const axis of [0, 1, 2].sort((a, b) => forward[b] - forward[a])) {
    const [dx, dy] = [right[axis] * GIZMO_LENGTH * unit, down[axis] * GIZMO_LENGTH * unit];
    target.strokeStyle = target.fillStyle = AXIS_COLORS[axis];
    target.beginPath();
    target.moveTo(x, y);
    target.lineTo(x + dx, y + dy);
    target.stroke();
    target.fillText("XYZ"[axis], x + dx * 1.4, y + dy * 1.4);
  }
}

/**
 * Return a function that draws a line between two points of the world.
 * @param {CanvasRenderingContext2D} target
 * @param {View} view
 * @returns {(from: Vector, to: Vector, color: string) => void}
 */
function lineDrawer(target, view) {
  const { right, down, forward, center } = cameraAxes(view);
  const { width, height } = target.canvas;
  const focal = (0.5 * height) / Math.tan(radians(view.fovy) / 2);
  const toCamera = (/** @type {Vector} */ point) =>
    [right, down, forward].map((axis) =>
      axis.reduce((sum, value, i) => sum + value * (point[i] - center[i]), 0),
    );
  target.lineWidth = cssPixel(target);
  return (from, to, color) => {
    const [a, b] = [toCamera(from), toCamera(to)];
    if (a[2] < NEAR && b[2] < NEAR) return;
    const ends = [a, b].map((end, index) => {
      if (end[2] >= NEAR) return end;
      const other = index ? a : b;
      const share = (NEAR - end[2]) / (other[2] - end[2]);
      return end.map((value, axis) => value + share * (other[axis] - value));
    });
    target.strokeStyle = color;
    target.beginPath();
    for (const [x, y, z] of ends) target.lineTo(width / 2 + (focal * x) / z, height / 2 + (focal * y) / z);
    target.stroke();
  };
}

/**
 * Return how many pixels of a canvas make a CSS pixel.
 * @param {CanvasRenderingContext2D} target
 */
function cssPixel({ canvas }) {
  return canvas.width / (canvas.clientWidth || canvas.width);
}
