// Mouse events between a DOM widget and the graph below it.

import { app } from "../../../scripts/app.js";

/** @typedef {import("../../../scripts/app.js").CanvasHandler} CanvasHandler */

const isMiddleButton = (/** @type {PointerEvent} */ { button }) => button === 1;
const isMiddleButtonDown = (/** @type {PointerEvent} */ { buttons }) => (buttons & 4) !== 0;

/**
 * Forward to the graph what a widget does not handle: the wheel, which zooms, and the middle button, which
 * pans.
 * @param {HTMLElement} element
 */
export function forwardToGraph(element) {
  /**
   * @template {Event} T
   * @param {CanvasHandler} method
   * @param {(event: T) => boolean} accepts
   * @returns {(event: T) => void}
   */
  const forward = (method, accepts) => (event) => {
    if (window.LiteGraph.vueNodesMode || !accepts(event)) return; // Vue nodes forward events themselves
    event.preventDefault();
    app.canvas[method](event);
  };
  element.addEventListener(
    "wheel",
    forward("processMouseWheel", () => true),
  );
  element.addEventListener("pointerdown", forward("processMouseDown", isMiddleButton));
  element.addEventListener("pointermove", forward("processMouseMove", isMiddleButtonDown));
  element.addEventListener("pointerup", forward("processMouseUp", isMiddleButton));
}

/**
 * Keep from a Vue node presses of the left and the right button in its widget: the node would be dragged, and
 * at the end of a drag with the right button it would open its menu, which takes the focus.
 * @param {HTMLElement} element
 */
export function keepFromNode(element) {
  element.addEventListener("contextmenu", (event) => event.stopPropagation());
  element.addEventListener("pointerdown", (event) => {
    if (window.LiteGraph.vueNodesMode && !isMiddleButton(event)) event.stopPropagation();
  });
}
