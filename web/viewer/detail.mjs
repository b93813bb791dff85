// How finely to draw while something moves. A picture that stands still always has all its pixels; where a
// moving one comes too slowly, as without a graphics card, it gets fewer.

const LEVELS = [1, 0.7, 0.5, 0.35]; // of the pixels along each side
const SLOW = 0.08; // seconds from one picture to the next
const PATIENCE = 3; // slow pictures in a row

/** Learns from the pace of the pictures. */
export class Detail {
  #level = 0;
  #numSlow = 0;
  #isMoving = false;

  /**
   * Return the share of the pixels, along each side, for the next picture.
   * @param {boolean} isMoving
   * @param {number} seconds since the last one
   */
  next(isMoving, seconds) {
    if (isMoving && !this.#isMoving) {
      this.#level = Math.max(this.#level - 1, 0); // each movement is another chance
      this.#numSlow = 0;
    } else if (isMoving) {
      this.#numSlow = seconds > SLOW ? this.#numSlow + 1 : 0;
      if (this.#numSlow >= PATIENCE) {
        this.#level = Math.min(this.#level + 1, LEVELS.length - 1);
        this.#numSlow = 0;
      }
    }
    this.#isMoving = isMoving;
    return isMoving ? LEVELS[this.#level] : 1;
  }
}
