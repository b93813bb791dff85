// Mouse, touch and wheel on the picture: drag orbits; right button, Shift or two fingers move; wheel and
// pinching zoom. The middle button and an unfocused wheel are left to the page around the viewer.

const DEGREES_PER_HEIGHT = 200; // that a drag across the whole picture turns
const ZOOM_PER_PIXEL = 0.0015; // of the wheel
const PIXELS_PER_LINE = 30; // of a wheel that counts lines

/**
 * @typedef {object} CameraMoves what gestures do
 * @property {(azimuth: number, elevation: number) => void} orbit degrees
 * @property {(right: number, down: number) => void} pan shares of the picture's height
 * @property {(factor: number) => void} zoom above 1 goes away
 * @property {() => void} reset
 * @property {() => void} settle a movement has ended
 */

/**
 * Listen to gestures until the signal says stop.
 * @param {HTMLCanvasElement} canvas
 * @param {CameraMoves} moves
 * @param {() => boolean} isFocused whether the wheel belongs to the viewer
 * @param {AbortSignal} signal
 */
export function listenToGestures(canvas, moves, isFocused, signal) {
  /** Pointers that are down, by id. @type {Map<number, {x: number, y: number, pans: boolean}>} */
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
      const before = span(pointers);
      pointer.x = event.clientX;
      pointer.y = event.clientY;
      if (pointers.size > 1) {
        moves.pan(right / pointers.size, down / pointers.size);
        moves.zoom(before / span(pointers));
      } else if (pointer.pans) {
        moves.pan(right, down);
      } else {
        moves.orbit(-right * DEGREES_PER_HEIGHT, down * DEGREES_PER_HEIGHT);
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
        if (!pointers.size) moves.settle();
      },
      { signal },
    );
  }

  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!isFocused()) return;
      event.preventDefault();
      event.stopPropagation();
      const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? PIXELS_PER_LINE : 1;
      moves.zoom(Math.exp(event.deltaY * pixels * ZOOM_PER_PIXEL));
      moves.settle();
    },
    { signal, passive: false },
  );

  canvas.addEventListener(
    "dblclick",
    () => {
      moves.reset();
      moves.settle();
    },
    { signal },
  );
  canvas.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
}

/**
 * Return how far the first two pointers are from each other; 1 for a single one.
 * @param {Map<number, {x: number, y: number}>} pointers
 */
function span(pointers) {
  const [first, second] = pointers.values();
  return second ? Math.max(Math.hypot(first.x - second.x, first.y - second.y), 1) : 1;
}
