// Composes a player's image: background, ground grid, the splats of one scene or of two side by side, axes.

import { backgroundColor, drawBackground } from "./background.mjs";
import { cameraAxes } from "./camera.mjs";
import { sharedContext } from "./context.mjs";
import { drawAxes, drawGrid, isAboveGround } from "./grid.mjs";

/** @typedef {import("./scene.mjs").ShownScene} ShownScene */

/**
 * A scene and the part of the image that shows it, from left to right, 0 to 1.
 * @typedef {{scene: ShownScene, position: number, left: number, right: number}} Part
 */

const TRANSPARENT = [0, 0, 0, 0];
const NEAREST = 0.01; // camera z, world units
/** @type {[number, number]} */
const NO_RANGE = [0, 1];

/**
 * Draw an image over the whole of a canvas, unless the WebGL context is lost.
 * @param {CanvasRenderingContext2D} target
 * @param {ShownScene | null} scene in a comparison A; its bounds give grid and depth range
 * @param {Part[]} parts
 * @param {import("./camera.mjs").View} view
 * @param {import("./display.mjs").DisplaySettings} display
 */
export function compose(target, scene, parts, view, display) {
  if (!scene || sharedContext().isLost) return;
  const { background, backgroundImage, hasGrid, mode, splatSize } = display;
  const depthRange = mode === "color" ? NO_RANGE : depthRangeOf(scene.bounds, view);
  const style = { mode, splatSize, depthRange };
  if (parts.length === 1 && !backgroundImage && !hasGrid) {
    const color = backgroundColor(background); // rendered by WebGL, in one pass with the splats
    parts[0].scene.renderer.render(target, view, parts[0].position, { ...style, background: color });
    return;
  }
  drawBackground(target, background, backgroundImage);
  const isBehind = hasGrid && isAboveGround(view, scene.bounds);
  if (isBehind) drawGrid(target, view, scene.bounds);
  for (const part of parts) drawPart(target, part, view, { ...style, background: TRANSPARENT });
  if (hasGrid && !isBehind) drawGrid(target, view, scene.bounds);
  if (hasGrid) drawAxes(target, view);
}

/**
 * @param {CanvasRenderingContext2D} target
 * @param {Part} part
 * @param {import("./camera.mjs").View} view
 * @param {import("./renderer.mjs").SplatStyle} style
 */
function drawPart(target, { scene, position, left, right }, view, style) {
  const { width, height } = target.canvas;
  const start = Math.round(left * width);
  target.save();
  target.beginPath();
  target.rect(start, 0, Math.round(right * width) - start, height);
  target.clip();
  scene.renderer.render(target, view, position, style, "source-over");
  target.restore();
}

/**
 * Return the camera z of the nearest and the farthest point of the object's bounding sphere.
 * @param {import("./bounds.mjs").Bounds} bounds
 * @param {import("./camera.mjs").View} view
 * @returns {[number, number]}
 */
function depthRangeOf({ center, radius }, view) {
  const camera = cameraAxes(view);
  const middle = camera.forward.reduce((sum, value, i) => sum + value * (center[i] - camera.center[i]), 0);
  const nearest = Math.max(middle - radius, NEAREST);
  return [nearest, Math.max(middle + radius, nearest + NEAREST)];
}
