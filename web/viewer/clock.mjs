// Which moment of a clip is shown. Positions are in frames; the last frame lasts as long as the others, so
// that a clip of F frames takes F / fps seconds, as the video did.

export class Clock {
  numFrames;
  fps;
  /** How many times as fast as the video. */
  speed = 1;
  /** Forward and back instead of starting over. */
  isPingPong = false;
  isPlaying = false;
  #position = 0;
  #direction = 1;

  /**
   * @param {number} numFrames
   * @param {number} fps frames a second
   */
  constructor(numFrames, fps) {
    this.numFrames = numFrames;
    this.fps = fps;
  }

  /** The moment to draw: 0 to numFrames - 1, between two frames where it is not whole. */
  get position() {
    return Math.min(this.#position, this.numFrames - 1);
  }

  /** The frame that is nearest, from 0. */
  get frame() {
    return Math.round(this.position);
  }

  /** Seconds since the clip's beginning. */
  get seconds() {
    return this.position / this.fps;
  }

  /** The moment as frame times count, from 0 to 1. */
  get time() {
    return this.numFrames > 1 ? this.position / (this.numFrames - 1) : 0;
  }

  /**
   * Go to a moment; what lies outside the clip becomes its nearest end.
   * @param {number} position in frames
   */
  seek(position) {
    this.#position = Math.min(Math.max(position, 0), this.numFrames - 1);
  }

  /**
   * Go to the next whole frame, or the one before, around the ends.
   * @param {1 | -1} direction
   */
  step(direction) {
    const next = direction > 0 ? Math.floor(this.position + 1 + 1e-6) : Math.ceil(this.position - 1 - 1e-6);
    this.#position = (next + this.numFrames) % this.numFrames;
  }

  /**
   * Let time pass while the clip plays.
   * @param {number} seconds
   */
  advance(seconds) {
    if (!this.isPlaying || this.numFrames === 1) return;
    const moved = this.#position + this.#direction * seconds * this.speed * this.fps;
    if (this.isPingPong) {
      this.#reflect(moved);
    } else {
      this.#direction = 1;
      this.#position = moved - this.numFrames * Math.floor(moved / this.numFrames);
    }
  }

  /**
   * Turn around at the ends.
   * @param {number} moved
   */
  #reflect(moved) {
    const last = this.numFrames - 1;
    const around = moved - 2 * last * Math.floor(moved / (2 * last)); // 0 to 2 last
    const turns = Math.floor(moved / last);
    if (turns % 2) this.#direction = -this.#direction;
    this.#position = around <= last ? around : 2 * last - around;
  }
}
