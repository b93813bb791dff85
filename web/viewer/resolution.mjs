// Adaptive resolution: a still image always has all pixels; one that moves gets fewer where a frame takes too
// long to draw, as without a GPU.

const SCALES = [1, 0.7, 0.5, 0.35]; // share of the pixels along each side
const SLOW_SECONDS = 0.08; // from one frame to the next
const PATIENCE = 3; // slow frames in a row before the resolution falls

/** Chooses the resolution from the times between frames. */
export class AdaptiveResolution {
  #level = 0;
  #numSlow = 0;
  #isMoving = false;

  /**
   * Return the share of the pixels, along each side, for the next frame.
   * @param {boolean} isMoving
   * @param {number} seconds since the last frame
   */
  next(isMoving, seconds) {
    if (isMoving && !this.#isMoving) {
      this.#level = Math.max(this.#level - 1, 0); // each movement tries one level finer
      this.#numSlow = 0;
    } else if (isMoving) {
      this.#numSlow = seconds > SLOW_SECONDS ? this.#numSlow + 1 : 0;
      if (this.#numSlow >= PATIENCE) {
        this.#level = Math.min(this.#level + 1, SCALES.length - 1);
        this.#numSlow = 0;
      }
    }
    this.#isMoving = isMoving;
    return isMoving ? SCALES[this.#level] : 1;
  }
}
