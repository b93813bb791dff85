// An .s4d file as the renderer uses it: one texel of 16 bytes for each splat at each frame, little-endian,
//
//   x, y, z, scale 0, scale 1, scale 2   16 bits each
//   first, second, third, largest        10 + 10 + 10 + 2 bits of the quaternion
//
// and 8 bytes for each splat, at each frame if they change: red, green, blue, opacity, 16 bits each.

import { ViewerError } from "./errors.mjs";
import { CHANNELS, readHeader } from "./header.mjs";
import { decodeRow, RowReader } from "./rows.mjs";

/** @typedef {import("./header.mjs").Header} Header */

/** 16-bit elements of a texel. */
export const CODES_PER_TEXEL = 8;
const MAX_WIDTH = 2048; // texture width that every WebGL2 implementation supports
const FIRST_CODE = { means: 0, log_scales: 3 };
/** The 32-bit word of a texel that holds the quaternion. */
export const QUAT_WORD = 3; // of a texel's four 32-bit words

/**
 * @typedef {object} S4DFile
 * @property {Header} header
 * @property {number} width texels in a line of a frame
 * @property {number} height lines of a frame
 * @property {Uint16Array} texels of all stored frames, CODES_PER_TEXEL elements each
 * @property {number} storedFrames frames that have texels: 1 for a static scene
 * @property {Uint16Array} rgba codes of red, green, blue and opacity of each splat, of all colored frames
 * @property {number} coloredFrames storedFrames if colors or opacities change, else 1
 */

/**
 * Read an .s4d file.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<S4DFile>}
 * @throws {ViewerError} if it is not an .s4d file, or a damaged one
 */
export async function readS4D(bytes) {
  const header = readHeader(bytes);
  const file = allocate(header);
  const rows = new RowReader(bytes.subarray(header.end), header.numGaussians);
  try {
    for (const name of Object.keys(CHANNELS)) await readAttribute(file, rows, name);
    await rows.finish();
  } catch (error) {
    rows.cancel();
    throw error;
  }
  return file;
}

/**
 * Return the distance from one frame's texels to the next frame's, in 16-bit elements.
 * @param {S4DFile} file
 */
export function frameStride(file) {
  return file.width * file.height * CODES_PER_TEXEL;
}

/**
 * @param {Header} header
 * @returns {S4DFile}
 */
function allocate(header) {
  const height = Math.ceil(header.numGaussians / MAX_WIDTH);
  const width = Math.ceil(header.numGaussians / height);
  const isMoving = Object.values(header.grids).some((grid) => grid.perFrame);
  const storedFrames = isMoving ? header.numFrames : 1;
  const isColored = header.grids.colors.perFrame || header.grids.opacities.perFrame;
  const coloredFrames = isColored ? storedFrames : 1;
  try {
    const texels = new Uint16Array(storedFrames * width * height * CODES_PER_TEXEL);
    const rgba = new Uint16Array(coloredFrames * width * height * 4);
    return { header, width, height, texels, storedFrames, rgba, coloredFrames };
  } catch {
    throw new ViewerError("There is not enough memory for this .s4d file.");
  }
}

/**
 * @param {S4DFile} file
 * @param {RowReader} rows
 * @param {string} name
 */
async function readAttribute(file, rows, name) {
  const { numGaussians, grids } = file.header;
  const numRows = grids[name].perFrame ? file.storedFrames : 1;
  const numFrames = name === "colors" || name === "opacities" ? file.coloredFrames : file.storedFrames;
  const channels = CHANNELS[/** @type {keyof typeof CHANNELS} */ (name)];
  for (let channel = 0; channel < channels; channel++) {
    const store = storeFor(file, name, channel);
    let codes = new Uint16Array(numGaussians);
    let previous = new Uint16Array(numGaussians);
    let secondPrevious = new Uint16Array(numGaussians);
    for (let frame = 0; frame < numRows; frame++) {
      decodeRow(await rows.next(), previous, secondPrevious, codes);
      const end = numRows === 1 ? numFrames : frame + 1; // a single row holds for all frames
      for (let stored = frame; stored < end; stored++) store(codes, stored);
      [secondPrevious, previous, codes] = [previous, codes, secondPrevious];
    }
  }
}

/**
 * Return a function that stores a channel's codes at a frame.
 * @param {S4DFile} file
 * @param {string} name
 * @param {number} channel
 * @returns {(codes: Uint16Array, frame: number) => void}
 */
function storeFor(file, name, channel) {
  if (name === "colors" || name === "opacities") {
    const first = name === "colors" ? channel : 3;
    const perFrame = file.width * file.height * 4;
    return (codes, frame) => scatter(codes, file.rgba, frame * perFrame + first, 4);
  }
  const stride = frameStride(file);
  if (name !== "quats") {
    const offset = FIRST_CODE[/** @type {keyof typeof FIRST_CODE} */ (name)] + channel;
    return (codes, frame) => scatter(codes, file.texels, frame * stride + offset, CODES_PER_TEXEL);
  }
  const words = new Uint32Array(file.texels.buffer);
  const shift = channel === 0 ? 30 : 10 * (channel - 1);
  const max = channel === 0 ? 3 : 1023;
  return (codes, frame) => {
    for (let i = 0, at = (frame * stride) / 2 + QUAT_WORD; i < codes.length; i++, at += 4) {
      if (codes[i] > max) throw new ViewerError("This .s4d file is damaged: a rotation's code is too large.");
      words[at] |= codes[i] << shift;
    }
  };
}

/**
 * @param {Uint16Array} codes
 * @param {Uint16Array} target
 * @param {number} start
 * @param {number} stride
 */
function scatter(codes, target, start, stride) {
  for (let i = 0, at = start; i < codes.length; i++, at += stride) target[at] = codes[i];
}
