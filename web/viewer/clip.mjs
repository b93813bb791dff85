// A clip as the renderer wants it: one texel of 16 bytes for a splat at a frame, little-endian,
//
//   x, y, z, scale 0, scale 1, scale 2   16 bits each
//   first, second, third, largest        10 + 10 + 10 + 2 bits of the quaternion
//
// and 8 bytes that hold red, green, blue, opacity of a splat, 16 bits each.

import { ClipError } from "./errors.mjs";
import { CHANNELS, readHeader } from "./header.mjs";
import { decodeRow, RowReader } from "./rows.mjs";

/** @typedef {import("./header.mjs").Header} Header */

/** Halves (16-bit words) of a texel. */
export const TEXEL_HALVES = 8;
const MAX_WIDTH = 2048; // of a texture, everywhere
const FIRST_HALF = { means: 0, log_scales: 3 };
const QUAT_WORD = 3; // of a texel's four 32-bit words

/**
 * @typedef {object} Clip
 * @property {Header} header
 * @property {number} width texels a line of a frame
 * @property {number} height lines of a frame
 * @property {Uint16Array} halves of all texels, frame by frame
 * @property {number} storedFrames frames that texels are stored for: 1 when nothing moves
 * @property {Uint16Array} paint red, green, blue, opacity of every splat
 */

/**
 * Read a clip.
 * @param {Uint8Array<ArrayBuffer>} bytes the file
 * @returns {Promise<Clip>}
 * @throws {ClipError} if it is no clip or a damaged one
 */
export async function readClip(bytes) {
  const header = readHeader(bytes);
  const clip = allocate(header);
  const rows = new RowReader(bytes.subarray(header.end), header.numGaussians);
  try {
    for (const name of Object.keys(CHANNELS)) await readAttribute(clip, rows, name);
    await rows.finish();
  } catch (error) {
    rows.cancel();
    throw error;
  }
  return clip;
}

/**
 * Return how many numbers lie between a frame's texels and the next frame's, in halves.
 * @param {Clip} clip
 */
export function frameHalves(clip) {
  return clip.width * clip.height * TEXEL_HALVES;
}

/**
 * @param {Header} header
 * @returns {Clip}
 */
function allocate(header) {
  const height = Math.ceil(header.numGaussians / MAX_WIDTH);
  const width = Math.ceil(header.numGaussians / height);
  const moves = Object.values(header.grids).some((grid) => grid.perFrame);
  const storedFrames = moves ? header.numFrames : 1;
  try {
    const halves = new Uint16Array(storedFrames * width * height * TEXEL_HALVES);
    return { header, width, height, halves, storedFrames, paint: new Uint16Array(width * height * 4) };
  } catch {
    throw new ClipError("There is not enough memory for this clip.");
  }
}

/**
 * @param {Clip} clip
 * @param {RowReader} rows
 * @param {string} name
 */
async function readAttribute(clip, rows, name) {
  const { numGaussians, grids } = clip.header;
  const numRows = grids[name].perFrame ? clip.storedFrames : 1;
  const channels = CHANNELS[/** @type {keyof typeof CHANNELS} */ (name)];
  for (let channel = 0; channel < channels; channel++) {
    const store = storeFor(clip, name, channel);
    let codes = new Uint16Array(numGaussians);
    let last = new Uint16Array(numGaussians);
    let lastButOne = new Uint16Array(numGaussians);
    for (let frame = 0; frame < numRows; frame++) {
      decodeRow(await rows.next(), last, lastButOne, codes);
      const until = numRows === 1 ? clip.storedFrames : frame + 1; // what is static is so in all frames
      for (let stored = frame; stored < until; stored++) store(codes, stored);
      [lastButOne, last, codes] = [last, codes, lastButOne];
    }
  }
}

/**
 * Return what puts a channel's codes at a frame into their place.
 * @param {Clip} clip
 * @param {string} name
 * @param {number} channel
 * @returns {(codes: Uint16Array, frame: number) => void}
 */
function storeFor(clip, name, channel) {
  if (name === "colors") return (codes) => scatter(codes, clip.paint, channel, 4);
  if (name === "opacities") return (codes) => scatter(codes, clip.paint, 3, 4);
  const stride = frameHalves(clip);
  if (name !== "quats") {
    const half = FIRST_HALF[/** @type {keyof typeof FIRST_HALF} */ (name)] + channel;
    return (codes, frame) => scatter(codes, clip.halves, frame * stride + half, TEXEL_HALVES);
  }
  const words = new Uint32Array(clip.halves.buffer);
  const shift = channel === 0 ? 30 : 10 * (channel - 1);
  const most = channel === 0 ? 3 : 1023;
  return (codes, frame) => {
    for (let i = 0, at = (frame * stride) / 2 + QUAT_WORD; i < codes.length; i++, at += 4) {
      if (codes[i] > most) throw new ClipError("This clip is damaged: a rotation has too large a code.");
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
