// The playback position, in frames. The last frame lasts as long as the others, so that a scene of F frames
// plays for F / fps seconds, as the video did.

export class Clock {
  numFrames;
  fps;
  /** Multiple of the video's speed. */
  speed = 1;
  /** Plays forward and back instead of starting over. */
  isPingPong = false;
  isPlaying = false;
  #position = 0;
  #direction = 1;

  /**
   * @param {number} numFrames
   * @param {number} fps frames per second
   */
  constructor(numFrames, fps) {
    this.numFrames = numFrames;
    this.fps = fps;
  }

  /** Position to draw: 0 to numFrames - 1; fractions lie between two frames. */
  get position() {
    return Math.min(this.#position, this.numFrames - 1);
  }

  /** Nearest frame, from 0. */
  get frame() {
    return Math.round(this.position);
  }

  /** Position in seconds. */
  get seconds() {
    return this.position / this.fps;
  }

  /** Position as a frame time, 0 to 1. */
  get time() {
    return this.numFrames > 1 ? this.position / (this.numFrames - 1) : 0;
  }

  /**
   * Go to a position, clamped to the scene's frames.
   * @param {number} position in frames
   */
  seek(position) {
    this.#position = Math.min(Math.max(position, 0), this.numFrames - 1);
  }

  /**
   * Go to the next or previous whole frame, wrapping around at the ends.
   * @param {1 | -1} direction
   */
  step(direction) {
    const next = direction > 0 ? Math.floor(this.position + 1 + 1e-6) : Math.ceil(this.position - 1 - 1e-6);
    this.#position = (next + this.numFrames) % this.numFrames;
  }

  /**
   * Advance the position if the clock is playing.
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
   * Reverse at the ends.
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
