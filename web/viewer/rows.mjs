// The rows of a clip: inflated as they are wanted, one at a time, and undone to 16-bit codes.

import { ClipError } from "./errors.mjs";

const NUM_FILTERS = 6;
const SLICE_BYTES = 4096; // a browser inflates what it is given at once, to a thousand times as much at most

/**
 * Decompresses a clip's gzip member row by row; never inflates more than is asked for.
 */
export class RowReader {
  #reader;
  #row;
  #chunk = new Uint8Array(0);

  /**
   * @param {Uint8Array<ArrayBuffer>} bytes the gzip member
   * @param {number} numGaussians
   */
  constructor(bytes, numGaussians) {
    this.#reader = inSlices(bytes).pipeThrough(new DecompressionStream("gzip")).getReader();
    this.#row = new Uint8Array(1 + 2 * numGaussians);
  }

  /**
   * Return the next row; it is overwritten by the one after.
   * @returns {Promise<Uint8Array>}
   * @throws {ClipError} if there is none
   */
  async next() {
    for (let filled = 0; filled < this.#row.length;) {
      if (!this.#chunk.length && !(await this.#fill())) {
        throw new ClipError("This clip is damaged: it ends before its last row.");
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
   * @throws {ClipError} if something does
   */
  async finish() {
    while (!this.#chunk.length && (await this.#fill()));
    if (this.#chunk.length) throw new ClipError("This clip is damaged: it goes on after its last row.");
  }

  /** Stop decompressing. */
  cancel() {
    this.#reader.cancel().catch(() => {}); // what was wrong has been said by then
  }

  /** Fetch what the decompressor has next; false at the end. */
  async #fill() {
    try {
      const { done, value } = await this.#reader.read();
      if (done) return false;
      this.#chunk = value;
      return true;
    } catch {
      throw new ClipError("This clip is damaged: it cannot be decompressed.");
    }
  }
}

/**
 * Return bytes as a stream that hands out a little, and only when asked.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {ReadableStream<Uint8Array<ArrayBuffer>>}
 */
function inSlices(bytes) {
  let at = 0;
  const pull = (/** @type {ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>} */ stream) => {
    if (at >= bytes.length) return stream.close();
    stream.enqueue(bytes.subarray(at, (at += SLICE_BYTES)));
  };
  return new ReadableStream({ pull }, { highWaterMark: 0 });
}

/**
 * Undo a row: join its bytes, undo the zigzag and the prediction.
 * @param {Uint8Array} row filter, N low bytes, N high bytes
 * @param {Uint16Array} last codes of the row before, zeros for the first
 * @param {Uint16Array} lastButOne codes of the row before that
 * @param {Uint16Array} codes where they go
 * @throws {ClipError} if the filter is unknown
 */
export function decodeRow(row, last, lastButOne, codes) {
  const kind = row[0];
  if (kind >= NUM_FILTERS) throw new ClipError(`This clip is damaged: a row has filter ${kind}.`);
  const count = codes.length;
  const order = kind % 3; // rows that the prediction uses
  const addsNeighbor = kind >= 3;
  let neighbor = 0;
  for (let i = 0; i < count; i++) {
    const zigzagged = row[1 + i] | (row[1 + count + i] << 8);
    let left = (zigzagged >>> 1) ^ -(zigzagged & 1);
    if (addsNeighbor) left = neighbor = (neighbor + left) & 0xffff;
    if (order === 1) left += last[i];
    else if (order === 2) left += 2 * last[i] - lastButOne[i];
    codes[i] = left; // stored modulo 65536
  }
}
