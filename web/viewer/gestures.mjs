// Mouse, touch and wheel on the image: dragging orbits; with the right button, Shift or two fingers it pans;
// the wheel and pinching zoom. The middle button and an unfocused wheel are left to the surrounding page.

const DEGREES_PER_HEIGHT = 200; // orbited by a drag over the height of the canvas
const ZOOM_PER_PIXEL = 0.0015; // of the wheel
const PIXELS_PER_LINE = 30; // of a wheel that reports lines

/**
 * @typedef {object} CameraActions called by gestures and keys
 * @property {(azimuth: number, elevation: number) => void} orbit degrees
 * @property {(right: number, down: number) => void} pan shares of the image height
 * @property {(factor: number) => void} zoom factor of the distance
 * @property {() => void} reset
 * @property {() => void} end a movement has ended
 */

/**
 * Listen to gestures until the signal aborts.
 * @param {import("./viewport.mjs").Viewport} viewport
 * @param {CameraActions} actions
 * @param {() => boolean} isFocused whether the viewer has focus and so receives the wheel
 * @param {AbortSignal} signal
 */
export function listenToGestures({ canvas, element }, actions, isFocused, signal) {
  /** Pressed pointers by id. @type {Map<number, {x: number, y: number, pans: boolean}>} */
  const pointers = new Map();

  canvas.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button === 1) return;
      event.stopPropagation();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      const pans = event.button === 2 || event.shiftKey || event.ctrlKey || event.metaKey;
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, pans });
    },
    { signal },
  );

  canvas.addEventListener(
    "pointermove",
    (event) => {
      const pointer = pointers.get(event.pointerId);
      if (!pointer) return;
      event.stopPropagation();
      const height = Math.max(canvas.getBoundingClientRect().height, 1);
      const right = (event.clientX - pointer.x) / height;
      const down = (event.clientY - pointer.y) / height;
      const previous = distance(pointers);
      pointer.x = event.clientX;
      pointer.y = event.clientY;
      if (pointers.size > 1) {
        actions.pan(right / pointers.size, down / pointers.size);
        actions.zoom(previous / distance(pointers));
      } else if (pointer.pans) {
        actions.pan(right, down);
      } else {
        actions.orbit(-right * DEGREES_PER_HEIGHT, down * DEGREES_PER_HEIGHT);
      }
    },
    { signal },
  );

  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    canvas.addEventListener(
      name,
      (event) => {
        if (!pointers.delete(event.pointerId)) return;
        event.stopPropagation();
        if (!pointers.size) actions.end();
      },
      { signal },
    );
  }

  element.addEventListener(
    "wheel",
    (event) => {
      if (!isFocused()) return;
      event.preventDefault();
      event.stopPropagation();
      const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? PIXELS_PER_LINE : 1;
      actions.zoom(Math.exp(event.deltaY * pixels * ZOOM_PER_PIXEL));
      actions.end();
    },
    { signal, passive: false },
  );

  element.addEventListener(
    "dblclick",
    () => {
      actions.reset();
      actions.end();
    },
    { signal },
  );
  // ComfyUI zooms its graph on touchmove events of two fingers, which it listens to before the viewer does.
  addEventListener(
    "touchmove",
    (event) => {
      if (event.composedPath().includes(element)) event.stopPropagation();
    },
    { signal, capture: true, passive: true },
  );
  element.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
}

/**
 * Return the distance between the first two pointers, pixels; 1 for a single one.
 * @param {Map<number, {x: number, y: number}>} pointers
 */
function distance(pointers) {
  const [first, second] = pointers.values();
  return second ? Math.max(Math.hypot(first.x - second.x, first.y - second.y), 1) : 1;
}
