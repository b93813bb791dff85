// Backgrounds behind the splats: "checker" (transparent, over a pattern), "white", "black", "#rrggbb", or an
// image that covers the canvas.

import { ViewerError } from "./errors.mjs";

/** @type {Record<string, number[]>} */
const NAMED_COLORS = { checker: [0, 0, 0, 0], white: [1, 1, 1, 1], black: [0, 0, 0, 1] };

/**
 * Return a background's red, green, blue and alpha, 0 to 1.
 * @param {string} background
 * @throws {TypeError} if it is neither a name nor #rrggbb
 */
export function backgroundColor(background) {
  if (Object.hasOwn(NAMED_COLORS, background)) return NAMED_COLORS[background];
  if (!/^#[0-9a-f]{6}$/i.test(background)) {
    throw new TypeError(`background: ${background}; expected checker, white, black or #rrggbb.`);
  }
  const code = Number.parseInt(background.slice(1), 16);
  return [(code >> 16) / 255, ((code >> 8) & 255) / 255, (code & 255) / 255, 1];
}

/**
 * Decode an image file.
 * @param {Blob} file
 * @returns {Promise<ImageBitmap>}
 * @throws {ViewerError} if the browser cannot
 */
export async function decodeImage(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new ViewerError("This file is not an image that the browser can decode.");
  }
}

/**
 * Draw a background over the whole of a canvas.
 * @param {CanvasRenderingContext2D} target
 * @param {string} background
 * @param {ImageBitmap | null} image shown in place of the background; it covers the canvas
 */
export function drawBackground(target, background, image) {
  const { width, height } = target.canvas;
  target.globalCompositeOperation = "source-over";
  target.clearRect(0, 0, width, height);
  if (image) {
    const scale = Math.max(width / image.width, height / image.height);
    const [w, h] = [image.width * scale, image.height * scale];
    target.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
    return;
  }
  const [red, green, blue, alpha] = backgroundColor(background);
  target.fillStyle = `rgb(${255 * red} ${255 * green} ${255 * blue} / ${alpha})`;
  target.fillRect(0, 0, width, height);
}
