// Read splat files with JavaScript libraries: PLY with gsplat.js, SPZ with Adobe's build of Niantic's.
//
//   node read_splats.mjs FILE ...
//
// prints a list with one object per file: flat arrays of positions, scales (linear), rotations (wxyz),
// opacities and colors (0..1).

import { readFile } from "node:fs/promises";
import createSpz from "@adobe/spz";
import { PLYLoader, Scene } from "gsplat";

const SH_C0 = 0.28209479177387814;
const sigmoid = (value) => 1 / (1 + Math.exp(-value));

/** gsplat.js stores rotations as bytes, and colors with opacities in one array of bytes. */
function readPly(bytes) {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const { positions, scales, rotations, colors } = PLYLoader.LoadFromArrayBuffer(buffer, new Scene()).data;
  return {
    positions: [...positions],
    scales: [...scales],
    rotations: [...rotations],
    opacities: [...colors].filter((_, index) => index % 4 === 3).map((value) => value / 255),
    colors: [...colors].filter((_, index) => index % 4 !== 3).map((value) => value / 255),
  };
}

/** UNSPECIFIED keeps the file's axes: right, down, front, as in 3DGS. The library's quaternions are xyzw. */
async function readSpz(bytes) {
  const spz = await createSpz();
  const cloud = spz.loadSpzFromBuffer(bytes, { to: spz.CoordinateSystem.UNSPECIFIED });
  const rotations = [];
  for (let at = 0; at < cloud.rotations.length; at += 4) {
    const [x, y, z, w] = cloud.rotations.slice(at, at + 4);
    rotations.push(w, x, y, z);
  }
  return {
    positions: [...cloud.positions],
    scales: [...cloud.scales].map(Math.exp),
    rotations,
    opacities: [...cloud.alphas].map(sigmoid),
    colors: [...cloud.colors].map((value) => 0.5 + SH_C0 * value),
  };
}

const read = (name, bytes) => (name.endsWith(".ply") ? readPly(bytes) : readSpz(bytes));
const files = await Promise.all(process.argv.slice(2).map(async (name) => read(name, await readFile(name))));
process.stdout.write(JSON.stringify(files));
