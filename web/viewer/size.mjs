// Canvas sizes in device pixels.

import { clamp } from "./camera.mjs";

const MAX_PIXELS = 4096; // along each side

/**
 * Report a canvas's size in device pixels, now and after each change, until the signal aborts.
 * @param {HTMLCanvasElement} canvas
 * @param {(size: {width: number, height: number}) => void} onResize
 * @param {AbortSignal} signal
 */
export function observeSize(canvas, onResize, signal) {
  const observer = new ResizeObserver((entries) => {
    const { contentRect, devicePixelContentBoxSize } = entries[entries.length - 1];
    const exact = devicePixelContentBoxSize?.[0];
    const width = devicePixels(contentRect.width, exact?.inlineSize);
    onResize({ width, height: devicePixels(contentRect.height, exact?.blockSize) });
  });
  try {
    observer.observe(canvas, { box: "device-pixel-content-box" });
  } catch {
    observer.observe(canvas); // a browser without that box
  }
  signal.addEventListener("abort", () => observer.disconnect());
}

/**
 * Set a canvas's size, rounded to at least one pixel; setting the same size again would clear it.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width pixels
 * @param {number} height pixels
 */
export function setSize(canvas, width, height) {
  const size = { width: Math.max(Math.round(width), 1), height: Math.max(Math.round(height), 1) };
  if (canvas.width !== size.width) canvas.width = size.width;
  if (canvas.height !== size.height) canvas.height = size.height;
}

/**
 * @param {number} length CSS pixels
 * @param {number | undefined} exact the browser's device pixels; ignored if a pixel or more from the expected
 */
function devicePixels(length, exact) {
  const expected = length * devicePixelRatio;
  const counted = exact !== undefined && Math.abs(exact - expected) < 1 ? exact : Math.round(expected);
  return clamp(counted, 1, MAX_PIXELS);
}
