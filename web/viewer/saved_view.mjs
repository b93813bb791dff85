// Saved views: the camera and time that the user sees, as JSON.

import { checkedView } from "./camera.mjs";

/** @typedef {import("./camera.mjs").View} View */

/**
 * Degrees, world units, frame time 0 to 1.
 * @typedef {View & {version: 1, time: number}} SavedView
 */

const VERSION = 1;

/**
 * Return a camera and time as a saved view.
 * @param {View} view
 * @param {number} time
 * @returns {SavedView}
 */
export function savedView(view, time) {
  return { version: VERSION, ...checkedView(view), time };
}

/**
 * Return the camera and time of a saved view; what it leaves out is taken from the current one.
 * @param {SavedView} current
 * @param {Partial<SavedView>} view
 * @returns {View & {time: number}}
 * @throws {TypeError} if a number is not finite or the view is of another version
 */
export function changedView(current, { version = VERSION, time = current.time, ...camera }) {
  if (version !== VERSION) throw new TypeError(`view: version ${version}; expected ${VERSION}.`);
  if (!Number.isFinite(time)) throw new TypeError(`view: time is ${time}; expected a number from 0 to 1.`);
  return { ...checkedView({ ...current, ...camera }), time };
}
