// The playback position, in frames, and the loop range: the frames that playback repeats, at first all. The
// last frame lasts as long as the others, so that a scene of F frames plays for F / fps seconds, as the video
// did.

export class Clock {
  numFrames;
  fps;
  /** Multiple of the video's speed. */
  speed = 1;
  /** Plays forward and back instead of starting over. */
  isPingPong = false;
  isPlaying = false;
  /** First and last frame of the loop range, from 0. @type {[number, number]} */
  range;
  #position = 0;
  /** Frames since the loop's last frame was reached; less than 1. */
  #held = 0;
  #direction = 1;

  /**
   * @param {number} numFrames
   * @param {number} fps frames per second
   */
  constructor(numFrames, fps) {
    this.numFrames = numFrames;
    this.fps = fps;
    this.range = [0, numFrames - 1];
  }

  /** Position to draw: 0 to numFrames - 1; fractions lie between two frames. */
  get position() {
    return this.#position;
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

  /** Whether time passes. */
  get isRunning() {
    return this.isPlaying && this.numFrames > 1;
  }

  /** Whether the loop range is all frames. */
  get loopsAll() {
    return this.range[0] === 0 && this.range[1] === this.numFrames - 1;
  }

  /** Number of frames that one loop plays, forward and back if it reverses. */
  get loopLength() {
    const last = this.range[1] - this.range[0];
    return this.isPingPong && last > 0 ? 2 * last : last + 1;
  }

  /**
   * Return a position in the loop.
   * @param {number} played frames since the loop's start, below its length
   */
  positionInLoop(played) {
    const [first, last] = this.range;
    const turned = this.isPingPong ? 2 * last - first - played : last;
    return Math.min(first + played, Math.max(turned, first));
  }

  /**
   * Set the loop range, clamped to the scene's frames; a range that ends before it starts is the one frame
   * where it starts.
   * @param {number} first frame
   * @param {number} last frame
   */
  setRange(first, last) {
    const end = this.numFrames - 1;
    const start = Math.min(Math.max(Math.round(first), 0), end);
    this.range = [start, Math.min(Math.max(Math.round(last), start), end)];
  }

  /**
   * Go to a position, clamped to the scene's frames.
   * @param {number} position in frames
   */
  seek(position) {
    this.#position = Math.min(Math.max(position, 0), this.numFrames - 1);
    this.#held = 0;
  }

  /**
   * Go to the next or previous whole frame, wrapping around at the ends.
   * @param {1 | -1} direction
   */
  step(direction) {
    const next = direction > 0 ? Math.floor(this.position + 1 + 1e-6) : Math.ceil(this.position - 1 - 1e-6);
    this.seek((next + this.numFrames) % this.numFrames);
  }

  /**
   * Advance the position if the clock is playing; from outside the loop range it goes to the range's start.
   * @param {number} seconds
   */
  advance(seconds) {
    if (!this.isRunning) return;
    const [first, last] = this.range;
    if (this.#position < first || this.#position > last) this.seek(first);
    const moved = this.#position + this.#held - first + this.#direction * seconds * this.speed * this.fps;
    if (this.isPingPong && first < last) {
      this.#reflect(moved);
    } else {
      const length = last - first + 1;
      const played = moved - length * Math.floor(moved / length);
      this.#direction = 1;
      this.#position = Math.min(first + played, last);
      this.#held = first + played - this.#position;
    }
  }

  /**
   * Reverse at the ends.
   * @param {number} moved from the start of the loop range
   */
  #reflect(moved) {
    const [first, last] = this.range;
    const length = last - first;
    const around = moved - 2 * length * Math.floor(moved / (2 * length)); // 0 to 2 length
    const turns = Math.floor(moved / length);
    if (turns % 2) this.#direction = -this.#direction;
    this.#held = 0;
    this.#position = first + (around <= length ? around : 2 * length - around);
  }
}
