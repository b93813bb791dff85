// Writes MP4 files (ISO/IEC 14496-12 and -15) of one H.264 track, with texts from which ComfyUI's page
// restores a workflow: in moov.udta.meta, as FFmpeg's flag use_metadata_tags stores them.

const TICKS = 1000; // per frame
const MATRIX = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000]; // identity, 16.16 and 2.30 fixed point

/**
 * An encoded frame; its index is that of the image in the video, from 0.
 * @typedef {{bytes: Uint8Array<ArrayBuffer>, index: number, isKey: boolean}} Sample
 */

/**
 * @typedef {object} Video
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} fps frames per second
 * @property {Uint8Array<ArrayBuffer>} avcC the decoder's configuration, a record of ISO/IEC 14496-15
 * @property {Sample[]} samples in the order of decoding
 */

/**
 * Return an MP4 file.
 * @param {Video} video
 * @param {Record<string, string>} texts JSON by keyword
 * @returns {Blob}
 */
export function encodeMp4(video, texts) {
  const begin = box("ftyp", ascii("isom"), u32(0x200), ascii("isomiso2avc1mp41"));
  const data = video.samples.map(({ bytes }) => bytes);
  const size = data.reduce((sum, { length }) => sum + length, 0);
  const offset = begin.length + movie(video, texts, 0).length + 8; // of the first sample in the file
  const header = [begin, movie(video, texts, offset), u32(size + 8), ascii("mdat")];
  return new Blob([...header, ...data], { type: "video/mp4" });
}

/**
 * @param {Video} video
 * @param {Record<string, string>} texts
 * @param {number} offset of the first sample, bytes
 */
function movie(video, texts, offset) {
  const { width, height, fps, samples } = video;
  const timescale = Math.max(Math.round(fps * TICKS), 1); // ticks per second
  const duration = samples.length * TICKS;
  const presentation = [0x10000, 0x1000000, 0, 0, ...MATRIX, 0, 0, 0, 0, 0, 0, 2]; // rate, volume, next track
  const mvhd = box("mvhd", u32(0, 0, 0, timescale, duration, ...presentation));
  const place = [0, 0, 0, 0, ...MATRIX, width << 16, height << 16];
  const tkhd = box("tkhd", u32(3, 0, 0, 1, 0, duration, ...place)); // 3: enabled, in the movie
  const mdhd = box("mdhd", u32(0, 0, 0, timescale, duration, 0x55c40000)); // language "und"
  const dref = box("dref", u32(0, 1), box("url ", u32(1))); // 1: in this file
  const minf = box("minf", box("vmhd", u32(1, 0, 0)), box("dinf", dref), sampleTable(video, offset));
  const track = box("trak", tkhd, box("mdia", mdhd, handler("vide"), minf));
  return box("moov", mvhd, track, ...metadata(Object.entries(texts)));
}

/**
 * @param {Video} video
 * @param {number} offset of the first sample, bytes
 */
function sampleTable({ width, height, avcC, samples }, offset) {
  const size = u32(width * 0x10000 + height, 0x480000, 0x480000, 0, 0x10000); // 72 dpi, one frame per sample
  const entry = [u32(0, 1, 0, 0, 0, 0), size, new Uint8Array(30), Uint8Array.of(0, 0x18, 255, 255)];
  const avc1 = box("avc1", ...entry, box("avcC", avcC));
  const keys = samples.flatMap(({ isKey }, i) => (isKey ? [i + 1] : []));
  const delays = samples.map(({ index }, i) => (index - i) * TICKS); // of presentation after decoding
  const tables = [
    box("stsd", u32(0, 1), avc1),
    box("stts", u32(0, 1, samples.length, TICKS)),
    box("stss", u32(0, keys.length, ...keys)),
    box("stsc", u32(0, 1, 1, samples.length, 1)),
    box("stsz", u32(0, 0, samples.length, ...samples.map(({ bytes }) => bytes.length))),
    box("stco", u32(0, 1, offset)),
  ];
  if (delays.some(Boolean)) {
    tables.push(box("ctts", u32(0x1000000, delays.length, ...delays.flatMap((delay) => [1, delay]))));
  }
  return box("stbl", ...tables);
}

/** @param {[string, string][]} entries keyword and text */
function metadata(entries) {
  if (!entries.length) return [];
  const keys = entries.map(([keyword]) => box("mdta", utf8(keyword)));
  const items = entries.map(([, text], i) => {
    const data = box("data", u32(1, 0), utf8(text)); // 1: UTF-8
    return [u32(data.length + 8, i + 1), data];
  });
  const list = [box("keys", u32(0, keys.length), ...keys), box("ilst", ...items.flat())];
  return [box("udta", box("meta", u32(0), handler("mdta"), ...list))];
}

/** @param {string} type of the handler */
function handler(type) {
  return box("hdlr", u32(0, 0), ascii(type), new Uint8Array(13));
}

/**
 * @param {string} type
 * @param {Uint8Array[]} parts
 */
function box(type, ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 8);
  const bytes = new Uint8Array(length);
  let end = 0;
  for (const part of [u32(length), ascii(type), ...parts]) {
    bytes.set(part, end);
    end += part.length;
  }
  return bytes;
}

/** @param {number[]} values 32 bits each, big-endian */
function u32(...values) {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}

/** @param {string} text */
function utf8(text) {
  return new TextEncoder().encode(text);
}

const ascii = utf8;
