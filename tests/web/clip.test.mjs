// The clip format: a file of version 1 that must stay readable, and what becomes of damaged ones.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import { frameHalves, readClip, TEXEL_HALVES } from "../../web/viewer/clip.mjs";
import { ClipError } from "../../web/viewer/errors.mjs";
import { decodeRow } from "../../web/viewer/rows.mjs";

const golden = new Uint8Array(await readFile(new URL("data/golden.s4d", import.meta.url)));
const truth = JSON.parse(await readFile(new URL("data/golden.json", import.meta.url), "utf-8"));

/** Undo a frame's texels the way that the shader does. */
function unpack(clip, frame) {
  const { grids, numGaussians } = clip.header;
  const words = new Uint32Array(clip.halves.buffer);
  const value = (name, channel, code) => grids[name].low[channel] + grids[name].step[channel] * code;
  return Array.from({ length: numGaussians }, (_, i) => {
    const at = frame * frameHalves(clip) + i * TEXEL_HALVES;
    const word = words[at / 2 + 3];
    const three = [0, 1, 2].map((k) => value("quats", k + 1, (word >>> (10 * k)) & 1023));
    const largest = Math.sqrt(Math.max(0, 1 - three.reduce((sum, x) => sum + x * x, 0)));
    const quats = three.slice();
    quats.splice(word >>> 30, 0, largest);
    const paint = [0, 1, 2, 3].map((k) => clip.paint[4 * i + k]);
    return {
      means: [0, 1, 2].map((k) => value("means", k, clip.halves[at + k])),
      scales: [0, 1, 2].map((k) => Math.exp(value("log_scales", k, clip.halves[at + 3 + k]))),
      quats,
      colors: [0, 1, 2].map((k) => value("colors", k, paint[k])),
      opacities: value("opacities", 0, paint[3]),
    };
  });
}

test("a file of version 1 holds what Python's reader finds in it", async () => {
  const clip = await readClip(golden);
  const { header } = clip;
  assert.deepEqual([header.numGaussians, header.numFrames, header.fps], [7, 4, 12.5]);
  assert.deepEqual(header.input, { azimuth: 10, elevation: 5, radius: 2.5, fovy: 40 });
  assert.equal(header.views.length, 1);
  assert.equal(clip.storedFrames, 4);
  truth.frames.forEach((frame, index) => {
    unpack(clip, index).forEach((found, i) => {
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

test("the bytes may stand anywhere in their buffer", async () => {
  const shifted = new Uint8Array(golden.length + 3);
  shifted.set(golden, 3);
  const clip = await readClip(shifted.subarray(3));
  assert.deepEqual(clip.halves, (await readClip(golden)).halves);
});

test("whatever a byte becomes, the file is read or refused in words", async () => {
  let refused = 0;
  for (let at = 0; at < golden.length; at++) {
    const damaged = golden.slice();
    damaged[at] ^= [1, 0x20, 0x80, 0xff][at % 4];
    try {
      await readClip(damaged);
    } catch (error) {
      assert.ok(error instanceof ClipError, `byte ${at}: ${error}`);
      refused += 1;
    }
  }
  assert.ok(refused > golden.length / 2);
});

test("wherever a file is cut, it is refused in words", async () => {
  for (let length = 0; length < golden.length; length += 7) {
    await assert.rejects(readClip(golden.slice(0, length)), ClipError, `${length} bytes`);
  }
});

test("filters predict from the rows before, and from the splat before", () => {
  // zigzag: 0, -1, 1, -2, 2 are 0, 1, 2, 3, 4; codes wrap around at 65536
  const [last, lastButOne] = [Uint16Array.of(10, 20, 65535), Uint16Array.of(9, 30, 65533)];
  const row = (kind) => Uint8Array.of(kind, 2, 4, 3, 0, 0, 0); // residuals 1, 2, -2
  const decoded = (kind) => {
    const codes = new Uint16Array(3);
    decodeRow(row(kind), last, lastButOne, codes);
    return [...codes];
  };
  assert.deepEqual(decoded(0), [1, 2, 65534]);
  assert.deepEqual(decoded(1), [11, 22, 65533]);
  assert.deepEqual(decoded(2), [12, 12, 65535]); // 11 + 1, 10 + 2, 65537 - 2
  assert.deepEqual(decoded(3), [1, 3, 1]);
  assert.deepEqual(decoded(4), [11, 23, 0]);
  assert.deepEqual(decoded(5), [12, 13, 2]);
  assert.throws(() => decoded(6), ClipError);
});
