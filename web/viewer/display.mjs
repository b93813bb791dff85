// The settings of a player's image besides its camera and time. They are not part of a saved view.

import { backgroundColor } from "./background.mjs";
import { RENDER_MODES } from "./shaders.mjs";

/**
 * @typedef {object} DisplaySettings
 * @property {string} background "checker", "white", "black" or "#rrggbb"
 * @property {ImageBitmap | null} backgroundImage shown in place of the background
 * @property {import("./shaders.mjs").RenderMode} mode "color", "depth" or "normals"
 * @property {number} splatSize factor of the splats' standard deviations
 * @property {boolean} hasGrid whether ground grid and axes are shown
 */

export const MIN_SPLAT_SIZE = 0.05;
export const MAX_SPLAT_SIZE = 2;

/** @type {DisplaySettings} */
export const DEFAULT_DISPLAY = {
  background: "checker",
  backgroundImage: null,
  mode: "color",
  splatSize: 1,
  hasGrid: false,
};

/**
 * Return valid settings unchanged.
 * @param {DisplaySettings} display
 * @throws {TypeError} if one is invalid
 */
export function checkedDisplay(display) {
  const { background, mode, splatSize } = display;
  backgroundColor(background); // throws if it is invalid
  if (!RENDER_MODES.includes(mode))
    throw new TypeError(`mode: ${mode}; expected ${RENDER_MODES.join(", ")}.`);
  if (!(splatSize >= MIN_SPLAT_SIZE && splatSize <= MAX_SPLAT_SIZE)) {
    throw new TypeError(`splatSize: ${splatSize}; expected ${MIN_SPLAT_SIZE} to ${MAX_SPLAT_SIZE}.`);
  }
  return display;
}
