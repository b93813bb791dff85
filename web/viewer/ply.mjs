// PLY files of 3DGS, as stag4d/export/ply.py writes them: raw parameters in the 3DGS coordinate frame (x
// right, y down, z forward: half a turn about x from the world), binary little-endian.

import { clamp } from "./camera.mjs";
import { CODES_PER_TEXEL, frameStride, QUAT_WORD } from "./s4d.mjs";

const COLUMNS =
  "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split(" ");
const SH_C0 = 0.28209479177387814; // the spherical harmonic of degree 0
const SMALLEST_ALPHA = 1e-6; // opacities are this far from 0 and 1, where logits are infinite

/**
 * Encode the Gaussians of a frame; those that pad the smaller ones of unrelated frames are left out.
 * @param {import("./s4d.mjs").S4DFile} file
 * @param {number} frame
 * @returns {Blob}
 */
export function encodePly(file, frame) {
  const rows = new Float32Array(file.header.numGaussians * COLUMNS.length);
  const read = gaussianReader(file, frame);
  let length = 0;
  for (let index = 0; index < file.header.numGaussians; index++) {
    const { mean, logScales, quat, color, opacity } = read(index);
    if (!file.header.interpolate && opacity <= SMALLEST_ALPHA) continue;
    const sh0 = color.map((value) => (value - 0.5) / SH_C0);
    const alpha = clamp(opacity, SMALLEST_ALPHA, 1 - SMALLEST_ALPHA);
    const logit = Math.log(alpha / (1 - alpha));
    const [w, x, y, z] = quat;
    rows.set([mean[0], -mean[1], -mean[2], 0, 0, 0, ...sh0, logit, ...logScales, -x, w, -z, y], length);
    length += COLUMNS.length;
  }
  const header = [
    "ply",
    "format binary_little_endian 1.0",
    `element vertex ${length / COLUMNS.length}`,
    ...COLUMNS.map((name) => `property float ${name}`),
    "end_header\n",
  ].join("\n");
  return new Blob([header, rows.subarray(0, length)], { type: "application/octet-stream" });
}

/**
 * Return a function that decodes the Gaussian of an index, in world coordinates.
 * @param {import("./s4d.mjs").S4DFile} file
 * @param {number} frame
 */
function gaussianReader(file, frame) {
  const { texels, rgba, header } = file;
  const { means, log_scales: scales, colors, opacities } = header.grids;
  const stored = Math.min(frame, file.storedFrames - 1);
  const start = stored * frameStride(file);
  const colored = Math.min(stored, file.coloredFrames - 1) * file.width * file.height * 4;
  const words = new Uint32Array(texels.buffer);
  const decode = (
    /** @type {import("./header.mjs").Grid} */ { low, step },
    /** @type {Uint16Array} */ codes,
  ) => low.map((value, channel) => value + step[channel] * codes[channel]);
  return (/** @type {number} */ index) => {
    const at = start + index * CODES_PER_TEXEL;
    const pixel = colored + 4 * index;
    return {
      mean: decode(means, texels.subarray(at, at + 3)),
      logScales: decode(scales, texels.subarray(at + 3, at + 6)),
      quat: unpackQuat(words[at / 2 + QUAT_WORD], header.grids.quats),
      color: decode(colors, rgba.subarray(pixel, pixel + 3)),
      opacity: decode(opacities, rgba.subarray(pixel + 3, pixel + 4))[0],
    };
  };
}

/**
 * Return the normalized quaternion, wxyz, of a texel's last word, as the vertex shader does.
 * @param {number} word
 * @param {import("./header.mjs").Grid} grid
 */
function unpackQuat(word, { low, step }) {
  const others = [0, 1, 2].map((i) => low[i + 1] + step[i + 1] * ((word >>> (10 * i)) & 1023));
  const squares = others.reduce((sum, value) => sum + value * value, 0);
  others.splice(word >>> 30, 0, Math.sqrt(Math.max(0, 1 - squares)));
  const norm = Math.hypot(...others);
  return others.map((value) => value / norm);
}
