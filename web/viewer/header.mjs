// The header of an .s4d file. Every value is checked here, before anything is decompressed.
// stag4d/export/s4d/writer.py describes the format.

import { ViewerError } from "./errors.mjs";

/**
 * A camera on an orbit around the origin: degrees, world units.
 * @typedef {{azimuth: number, elevation: number, radius: number, fovy: number}} Pose
 */

/**
 * Quantization of an attribute: the value of a channel is low + step * code.
 * @typedef {{perFrame: boolean, low: number[], step: number[]}} Grid
 */

/**
 * @typedef {object} Header
 * @property {number} numGaussians
 * @property {number} numFrames
 * @property {number} fps frames per second
 * @property {Pose} input camera of the input video
 * @property {Pose[]} views cameras of the posed views
 * @property {Record<string, Grid>} grids by attribute
 * @property {boolean} interpolate false if the frames have unrelated splats
 * @property {number} end offset of the rows, bytes
 */

/** The attributes in the order of the file, with their numbers of channels. */
export const CHANNELS = Object.freeze({ means: 3, quats: 4, log_scales: 3, colors: 3, opacities: 1 });

const MAGIC = 0x43443453; // "S4DC"
const VERSION = 2;
const PRELUDE_BYTES = 12;
const MAX_HEADER_BYTES = 2 ** 16;
const MAX_GAUSSIANS = 2 ** 22;
const MAX_FRAMES = 2 ** 16;
const MAX_SAMPLES = 2 ** 24; // Gaussians times frames
const MAX_VIEWS = 64;
const MAX_NUMBER = 1e9;
const STATIC = ["colors", "opacities"]; // in version 1

/**
 * Read and check the header.
 * @param {Uint8Array} bytes
 * @returns {Header}
 * @throws {ViewerError} if the file is not an .s4d file, is damaged, or exceeds the format's limits
 */
export function readHeader(bytes) {
  const { version, value, end } = parse(bytes);
  const numGaussians = integer(value.num_gaussians, "num_gaussians", MAX_GAUSSIANS);
  const numFrames = integer(value.num_frames, "num_frames", MAX_FRAMES);
  if (numGaussians * numFrames > MAX_SAMPLES) {
    throw new ViewerError(`This .s4d file is too large: ${numGaussians} splats at ${numFrames} frames.`);
  }
  if (!Array.isArray(value.views) || value.views.length > MAX_VIEWS) {
    throw damaged(`views must be a list of at most ${MAX_VIEWS} cameras`);
  }
  const attributes = object(value.attributes, "attributes");
  const interpolate = version > 1 && value.interpolate !== undefined ? value.interpolate : true;
  if (typeof interpolate !== "boolean") throw damaged("interpolate must be true or false");
  const names = Object.keys(CHANNELS);
  return {
    numGaussians,
    numFrames,
    fps: number(value.fps, "fps", 1e-9, 1e4),
    input: pose(value.input, "input"),
    views: value.views.map((view, index) => pose(view, `views[${index}]`)),
    grids: Object.fromEntries(names.map((name) => [name, grid(attributes[name], name, version)])),
    interpolate,
    end,
  };
}

/**
 * @param {Uint8Array} bytes
 * @returns {{version: number, value: Record<string, unknown>, end: number}} with the offset of the rows
 */
function parse(bytes) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < PRELUDE_BYTES || data.getUint32(0, true) !== MAGIC) {
    throw new ViewerError("This file is not an .s4d file.");
  }
  const version = data.getUint32(4, true);
  if (version < 1 || version > VERSION) {
    throw new ViewerError(
      `This .s4d file has version ${version}; this viewer reads up to ${VERSION}. Export the scene again.`,
    );
  }
  const length = data.getUint32(8, true);
  const end = PRELUDE_BYTES + length;
  if (length > MAX_HEADER_BYTES || end > bytes.length) throw damaged("its header is too long");
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(PRELUDE_BYTES, end)));
  } catch {
    throw damaged("its header is not JSON");
  }
  return { version, value: object(value, "the header"), end };
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} version
 * @returns {Grid}
 */
function grid(value, name, version) {
  const field = `attributes.${name}`;
  const { per_frame: perFrame, low, step } = object(value, field);
  const mustBeStatic = version === 1 && STATIC.includes(name);
  if (typeof perFrame !== "boolean" || (perFrame && mustBeStatic)) {
    throw damaged(`${field}.per_frame must be ${mustBeStatic ? "false" : "true or false"}`);
  }
  return {
    perFrame,
    low: numbers(low, name, `${field}.low`, -MAX_NUMBER),
    step: numbers(step, name, `${field}.step`, Number.MIN_VALUE),
  };
}

/**
 * @param {unknown} values
 * @param {string} name of the attribute
 * @param {string} field
 * @param {number} min
 */
function numbers(values, name, field, min) {
  const length = CHANNELS[/** @type {keyof typeof CHANNELS} */ (name)];
  if (!Array.isArray(values) || values.length !== length) throw damaged(`${field} must be ${length} numbers`);
  return values.map((value, index) => number(value, `${field}[${index}]`, min, MAX_NUMBER));
}

/**
 * @param {unknown} value
 * @param {string} field
 * @returns {Pose}
 */
function pose(value, field) {
  const { azimuth, elevation, radius, fovy } = object(value, field);
  return {
    azimuth: number(azimuth, `${field}.azimuth`, -Infinity, Infinity),
    elevation: number(elevation, `${field}.elevation`, -89.9, 89.9),
    radius: number(radius, `${field}.radius`, Number.MIN_VALUE, Infinity),
    fovy: number(fovy, `${field}.fovy`, 1, 170),
  };
}

/**
 * @param {unknown} value
 * @param {string} field
 * @param {number} max
 */
function integer(value, field, max) {
  const found = number(value, field, 1, max);
  if (!Number.isInteger(found)) throw damaged(`${field} is not an integer`);
  return found;
}

/**
 * @param {unknown} value
 * @param {string} field
 * @param {number} min
 * @param {number} max
 */
function number(value, field, min, max) {
  if (typeof value !== "number" || !Number.isFinite(value) || value < min || value > max) {
    throw damaged(`${field} is not a number in its range`);
  }
  return value;
}

/**
 * @param {unknown} value
 * @param {string} field
 * @returns {Record<string, unknown>}
 */
function object(value, field) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw damaged(`${field} is not an object`);
  }
  return /** @type {Record<string, unknown>} */ (value);
}

/** @param {string} reason */
function damaged(reason) {
  return new ViewerError(`This .s4d file is damaged: ${reason}.`);
}
