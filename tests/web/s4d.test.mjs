// The .s4d format: a file of version 1 that must stay readable, and damaged files.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import { ViewerError } from "../../web/viewer/errors.mjs";
import { decodeRow } from "../../web/viewer/rows.mjs";
import { CODES_PER_TEXEL, frameStride, readS4D } from "../../web/viewer/s4d.mjs";

const golden = new Uint8Array(await readFile(new URL("data/golden.s4d", import.meta.url)));
const truth = JSON.parse(await readFile(new URL("data/golden.json", import.meta.url), "utf-8"));

/** Decode a frame's texels as the shader does. */
function unpack(file, frame) {
  const { grids, numGaussians } = file.header;
  const words = new Uint32Array(file.texels.buffer);
  const value = (name, channel, code) => grids[name].low[channel] + grids[name].step[channel] * code;
  return Array.from({ length: numGaussians }, (_, i) => {
    const at = frame * frameStride(file) + i * CODES_PER_TEXEL;
    const word = words[at / 2 + 3];
    const others = [0, 1, 2].map((k) => value("quats", k + 1, (word >>> (10 * k)) & 1023));
    const largest = Math.sqrt(Math.max(0, 1 - others.reduce((sum, x) => sum + x * x, 0)));
    const quats = others.slice();
    quats.splice(word >>> 30, 0, largest);
    const rgba = [0, 1, 2, 3].map((k) => file.rgba[4 * i + k]);
    return {
      means: [0, 1, 2].map((k) => value("means", k, file.texels[at + k])),
      scales: [0, 1, 2].map((k) => Math.exp(value("log_scales", k, file.texels[at + 3 + k]))),
      quats,
      colors: [0, 1, 2].map((k) => value("colors", k, rgba[k])),
      opacities: value("opacities", 0, rgba[3]),
    };
  });
}

test("a file of version 1 is decoded to the same values as in Python", async () => {
  const file = await readS4D(golden);
  const { header } = file;
  assert.deepEqual([header.numGaussians, header.numFrames, header.fps], [7, 4, 12.5]);
  assert.deepEqual(header.input, { azimuth: 10, elevation: 5, radius: 2.5, fovy: 40 });
  assert.equal(header.views.length, 1);
  assert.equal(file.storedFrames, 4);
  truth.frames.forEach((frame, index) => {
    unpack(file, index).forEach((found, i) => {
      for (const [name, value] of Object.entries(found)) {
        [value].flat().forEach((number, k) => {
          const wanted = [frame[name][i]].flat()[k];
          assert.ok(
            Math.abs(number - wanted) < 1e-6,
            `${name} of ${i} at ${index}: ${number}, not ${wanted}`,
          );
        });
      }
    });
  });
});

test("the file may start at any offset of its buffer", async () => {
  const shifted = new Uint8Array(golden.length + 3);
  shifted.set(golden, 3);
  const file = await readS4D(shifted.subarray(3));
  assert.deepEqual(file.texels, (await readS4D(golden)).texels);
});

test("a file with any byte changed is read or rejected with a ViewerError", async () => {
  let rejected = 0;
  for (let at = 0; at < golden.length; at++) {
    const damaged = golden.slice();
    damaged[at] ^= [1, 0x20, 0x80, 0xff][at % 4];
    try {
      await readS4D(damaged);
    } catch (error) {
      assert.ok(error instanceof ViewerError, `byte ${at}: ${error}`);
      rejected += 1;
    }
  }
  assert.ok(rejected > golden.length / 2);
});

test("metadata in the header are ignored", async () => {
  const length = new DataView(golden.buffer, golden.byteOffset).getUint32(8, true);
  const header = JSON.parse(new TextDecoder().decode(golden.subarray(12, 12 + length)));
  header.metadata = { workflow: JSON.stringify({ nodes: ["a".repeat(40_000)] }) };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const file = new Uint8Array(
    await new Blob([golden.subarray(0, 12), text, golden.subarray(12 + length)]).arrayBuffer(),
  );
  new DataView(file.buffer).setUint32(8, text.length, true);
  assert.deepEqual(unpack(await readS4D(file), 1), unpack(await readS4D(golden), 1));
});

test("a file truncated anywhere is rejected with a ViewerError", async () => {
  for (let length = 0; length < golden.length; length += 7) {
    await assert.rejects(readS4D(golden.slice(0, length)), ViewerError, `${length} bytes`);
  }
});

test("filters predict from the previous rows and from the previous splat", () => {
  // zigzag: 0, -1, 1, -2, 2 are 0, 1, 2, 3, 4; codes wrap around at 65536
  const [previous, secondPrevious] = [Uint16Array.of(10, 20, 65535), Uint16Array.of(9, 30, 65533)];
  const row = (filter) => Uint8Array.of(filter, 2, 4, 3, 0, 0, 0); // residuals 1, 2, -2
  const decoded = (filter) => {
    const codes = new Uint16Array(3);
    decodeRow(row(filter), previous, secondPrevious, codes);
    return [...codes];
  };
  assert.deepEqual(decoded(0), [1, 2, 65534]);
  assert.deepEqual(decoded(1), [11, 22, 65533]);
  assert.deepEqual(decoded(2), [12, 12, 65535]); // 11 + 1, 10 + 2, 65537 - 2
  assert.deepEqual(decoded(3), [1, 3, 1]);
  assert.deepEqual(decoded(4), [11, 23, 0]);
  assert.deepEqual(decoded(5), [12, 13, 2]);
  assert.throws(() => decoded(6), ViewerError);
});
