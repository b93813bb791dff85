// Texts in PNG files: tEXt chunks after the header, from which ComfyUI's page restores a workflow.

const BEFORE_TEXTS = 33; // bytes of the signature and the chunk IHDR
const POLYNOMIAL = 0xedb88320; // of CRC-32, reflected

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/**
 * Add texts to a PNG file.
 * @param {Blob} png
 * @param {Record<string, string>} texts JSON by keyword, of 1 to 79 letters of ASCII
 * @returns {Promise<Blob>}
 */
export async function addTexts(png, texts) {
  const chunks = Object.entries(texts).map(([keyword, json]) => textChunk(keyword, json));
  if (!chunks.length) return png;
  return new Blob([png.slice(0, BEFORE_TEXTS), ...chunks, png.slice(BEFORE_TEXTS)], { type: png.type });
}

/**
 * Return a chunk with JSON, in which letters other than ASCII are escaped: the chunk is in Latin-1, but
 * ComfyUI's page decodes it as UTF-8.
 * @param {string} keyword
 * @param {string} json
 */
function textChunk(keyword, json) {
  const escaped = json.replace(
    /[\u0080-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const content = new TextEncoder().encode(`tEXt${keyword}\0${escaped}`);
  const chunk = new Uint8Array(4 + content.length + 4);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, content.length - 4); // without the type
  chunk.set(content, 4);
  view.setUint32(4 + content.length, crc32(content));
  return chunk;
}

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 255] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}
