// How many pixels the screen has under a canvas.

import { clamp } from "./camera.mjs";

const MAX_PIXELS = 4096; // a side

/**
 * Tell a canvas's size in the screen's pixels, now and whenever it changes, until the signal says stop.
 * @param {HTMLCanvasElement} canvas
 * @param {(size: {width: number, height: number}) => void} tell
 * @param {AbortSignal} signal
 */
export function followSize(canvas, tell, signal) {
  const sizes = new ResizeObserver((entries) => {
    const { contentRect, devicePixelContentBoxSize } = entries[entries.length - 1];
    const exact = devicePixelContentBoxSize?.[0];
    const width = pixels(contentRect.width, exact?.inlineSize);
    tell({ width, height: pixels(contentRect.height, exact?.blockSize) });
  });
  try {
    sizes.observe(canvas, { box: "device-pixel-content-box" });
  } catch {
    sizes.observe(canvas); // a browser that does not count the screen's pixels
  }
  signal.addEventListener("abort", () => sizes.disconnect());
}

/**
 * @param {number} length in the page's units
 * @param {number | undefined} exact what the browser counts, at most a pixel from what is to be expected
 */
function pixels(length, exact) {
  const expected = length * devicePixelRatio;
  const counted = exact !== undefined && Math.abs(exact - expected) < 1 ? exact : Math.round(expected);
  return clamp(counted, 1, MAX_PIXELS);
}
