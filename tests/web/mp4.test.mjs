// MP4 files, read back box by box.

import assert from "node:assert/strict";
import test from "node:test";

import { encodeMp4 } from "../../web/viewer/mp4.mjs";

const VIDEO = {
  width: 64,
  height: 48,
  fps: 12.5,
  avcC: Uint8Array.of(1, 100, 0, 51),
  samples: [
    { bytes: Uint8Array.of(1, 2, 3), index: 0, isKey: true },
    { bytes: Uint8Array.of(4), index: 1, isKey: false },
    { bytes: Uint8Array.of(5, 6), index: 2, isKey: true },
  ],
};
const TEXTS = { workflow: '{"note":"Füchse 狐 🦊"}', prompt: "{}" };

async function encoded(video, texts) {
  const blob = encodeMp4(video, texts);
  assert.equal(blob.type, "video/mp4");
  return Buffer.from(await blob.arrayBuffer());
}

/** Return [type, content] of the boxes that fill a buffer. */
function boxesIn(content) {
  const boxes = [];
  let begin = 0;
  while (begin < content.length) {
    const end = begin + content.readUInt32BE(begin);
    assert.ok(end >= begin + 8 && end <= content.length);
    boxes.push([content.toString("latin1", begin + 4, begin + 8), content.subarray(begin + 8, end)]);
    begin = end;
  }
  return boxes;
}

/** Return the content of a box by its path. */
function find(content, ...path) {
  return path.reduce((inner, type) => boxesIn(inner).find(([name]) => name === type)[1], content);
}

const table = (file, type) => find(file, "moov", "trak", "mdia", "minf", "stbl", type);
const numbers = (content) => Array.from({ length: content.length / 4 }, (_, i) => content.readInt32BE(4 * i));

test("the header comes before the samples and points to them", async () => {
  for (const texts of [{}, TEXTS]) {
    const file = await encoded(VIDEO, texts);
    assert.deepEqual(
      boxesIn(file).map(([type]) => type),
      ["ftyp", "moov", "mdat"],
    );
    assert.deepEqual([...find(file, "mdat")], [1, 2, 3, 4, 5, 6]);
    const offset = table(file, "stco").readUInt32BE(8);
    assert.deepEqual([...file.subarray(offset)], [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(numbers(table(file, "stsz")), [0, 0, 3, 3, 1, 2]);
    assert.deepEqual(numbers(table(file, "stss")), [0, 2, 1, 3]);
  }
});

test("all frames last equally long", async () => {
  const file = await encoded(VIDEO, {});
  const [count, ticks] = numbers(table(file, "stts")).slice(2);
  const timescale = find(file, "moov", "trak", "mdia", "mdhd").readUInt32BE(12);
  assert.equal(count, 3);
  assert.equal(timescale / ticks, 12.5);
  assert.equal(boxesIn(find(file, "moov", "trak", "mdia", "minf", "stbl")).at(-1)[0], "stco"); // no ctts
});

test("frames that are decoded in another order have offsets of their times", async () => {
  const samples = [0, 2, 1].map((index) => ({ bytes: Uint8Array.of(index), index, isKey: index === 0 }));
  const file = await encoded({ ...VIDEO, samples }, {});
  const [ticks] = numbers(table(file, "stts")).slice(3);
  assert.deepEqual(numbers(table(file, "ctts")).slice(1), [3, 1, 0, 1, ticks, 1, -ticks]);
});

test("texts are items of moov.udta.meta in UTF-8, and no box without texts", async () => {
  const meta = find(await encoded(VIDEO, TEXTS), "moov", "udta", "meta").subarray(4);
  assert.equal(find(meta, "hdlr").toString("latin1", 8, 12), "mdta");
  const keys = boxesIn(find(meta, "keys").subarray(8));
  assert.equal(find(meta, "keys").readUInt32BE(4), 2);
  const items = boxesIn(find(meta, "ilst")).map(([type, item]) => {
    const data = find(item, "data");
    assert.deepEqual(numbers(data.subarray(0, 8)), [1, 0]);
    const key = Buffer.from(type, "latin1").readUInt32BE();
    return [keys[key - 1][1].toString(), data.subarray(8).toString()];
  });
  assert.deepEqual(Object.fromEntries(items), TEXTS);
  const without = boxesIn(find(await encoded(VIDEO, {}), "moov")).map(([type]) => type);
  assert.deepEqual(without, ["mvhd", "trak"]);
});
