// The rows of an .s4d file: decompressed one at a time, as they are needed, and decoded to 16-bit codes.

import { ViewerError } from "./errors.mjs";

const NUM_FILTERS = 6;
const SLICE_BYTES = 4096; // a browser decompresses each chunk at once, to at most a thousand times its size

/** Decompresses a file's gzip member row by row; never decompresses more than is asked for. */
export class RowReader {
  #reader;
  #row;
  #chunk = new Uint8Array(0);

  /**
   * @param {Uint8Array<ArrayBuffer>} bytes the gzip member
   * @param {number} numGaussians
   */
  constructor(bytes, numGaussians) {
    this.#reader = sliceStream(bytes).pipeThrough(new DecompressionStream("gzip")).getReader();
    this.#row = new Uint8Array(1 + 2 * numGaussians);
  }

  /**
   * Return the next row; the call after overwrites it.
   * @returns {Promise<Uint8Array>}
   * @throws {ViewerError} if there is none
   */
  async next() {
    let filled = 0;
    while (filled < this.#row.length) {
      if (!this.#chunk.length && !(await this.#fill())) {
        throw new ViewerError("This .s4d file is damaged: it ends before its last row.");
      }
      const part = this.#chunk.subarray(0, this.#row.length - filled);
      this.#row.set(part, filled);
      this.#chunk = this.#chunk.subarray(part.length);
      filled += part.length;
    }
    return this.#row;
  }

  /**
   * Check that nothing follows the last row.
   * @throws {ViewerError} if something does
   */
  async finish() {
    while (!this.#chunk.length && (await this.#fill()));
    if (this.#chunk.length) {
      throw new ViewerError("This .s4d file is damaged: it continues after its last row.");
    }
  }

  /** Stop decompressing. */
  cancel() {
    this.#reader.cancel().catch(() => {}); // the error that led here is already being thrown
  }

  /** Fetch the decompressor's next chunk; false at the end. */
  async #fill() {
    try {
      const { done, value } = await this.#reader.read();
      if (done) return false;
      this.#chunk = value;
      return true;
    } catch {
      throw new ViewerError("This .s4d file is damaged: it cannot be decompressed.");
    }
  }
}

/**
 * Return bytes as a stream of small chunks, each made on demand.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {ReadableStream<Uint8Array<ArrayBuffer>>}
 */
function sliceStream(bytes) {
  let offset = 0;
  const pull = (/** @type {ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>} */ stream) => {
    if (offset >= bytes.length) return stream.close();
    stream.enqueue(bytes.subarray(offset, (offset += SLICE_BYTES)));
  };
  return new ReadableStream({ pull }, { highWaterMark: 0 });
}

/**
 * Decode a row: join its byte planes, undo the zigzag code and the prediction.
 * @param {Uint8Array} row filter, N low bytes, N high bytes
 * @param {Uint16Array} previous codes of the row before, zeros for the first
 * @param {Uint16Array} secondPrevious codes of the row before that
 * @param {Uint16Array} codes receives the row's codes
 * @throws {ViewerError} if the filter is unknown
 */
export function decodeRow(row, previous, secondPrevious, codes) {
  const filter = row[0];
  if (filter >= NUM_FILTERS) throw new ViewerError(`This .s4d file is damaged: a row has filter ${filter}.`);
  const count = codes.length;
  const order = filter % 3; // earlier rows that the prediction uses
  const usesNeighbor = filter >= 3; // the splat before
  let neighbor = 0;
  for (let i = 0; i < count; i++) {
    const zigzagged = row[1 + i] | (row[1 + count + i] << 8);
    let code = (zigzagged >>> 1) ^ -(zigzagged & 1);
    if (usesNeighbor) code = neighbor = (neighbor + code) & 0xffff;
    if (order === 1) code += previous[i];
    else if (order === 2) code += 2 * previous[i] - secondPrevious[i];
    codes[i] = code; // stored modulo 65536
  }
}
