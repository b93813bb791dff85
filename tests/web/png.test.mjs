// Texts in PNG files, read back chunk by chunk.

import assert from "node:assert/strict";
import test from "node:test";
import { crc32 } from "node:zlib";

import { addTexts } from "../../web/viewer/png.mjs";

const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
  "base64",
);

/** Return type and content of every chunk after checking their checksums. */
function chunksOf(file) {
  assert.deepEqual(file.subarray(0, 8), PIXEL.subarray(0, 8));
  const chunks = [];
  for (let begin = 8; begin < file.length;) {
    const length = file.readUInt32BE(begin);
    const content = file.subarray(begin + 4, begin + 8 + length);
    assert.equal(file.readUInt32BE(begin + 8 + length), crc32(content));
    chunks.push([content.toString("latin1", 0, 4), content.subarray(4)]);
    begin += 12 + length;
  }
  return chunks;
}

async function added(texts) {
  const blob = await addTexts(new Blob([PIXEL], { type: "image/png" }), texts);
  assert.equal(blob.type, "image/png");
  return Buffer.from(await blob.arrayBuffer());
}

test("texts are chunks between the header and the pixels", async () => {
  const file = await added({ workflow: '{"nodes":[]}', prompt: "{}" });
  const chunks = chunksOf(file);
  assert.deepEqual(
    chunks.map(([type]) => type),
    ["IHDR", "tEXt", "tEXt", "IDAT", "IEND"],
  );
  assert.equal(chunks[1][1].toString("latin1"), 'workflow\0{"nodes":[]}');
  assert.equal(chunks[2][1].toString("latin1"), "prompt\0{}");
  const rest = chunks.filter(([type]) => type !== "tEXt");
  assert.deepEqual(rest, chunksOf(PIXEL));
});

test("letters other than ASCII are escaped as in JSON", async () => {
  const value = { note: "Füchse 狐 🦊 \u0000" };
  const [, [, content]] = chunksOf(await added({ workflow: JSON.stringify(value) }));
  assert.ok(content.every((byte) => byte < 128));
  assert.deepEqual(JSON.parse(content.toString("latin1").slice("workflow\0".length)), value);
});

test("without texts the file stays as it is", async () => {
  assert.deepEqual(await added({}), PIXEL);
});
