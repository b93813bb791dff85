// When to draw: once a display frame while something changes, never while hidden or off screen.

const LONGEST_PAUSE = 0.25; // seconds that one tick may tell: a busy page slows down, it does not skip

/** Calls back before the browser paints, as long as it is wanted and can be seen. */
export class Ticker {
  #isWanted;
  #tick;
  #signal;
  #isInSight = true;
  #id = 0;
  #last = 0;

  /**
   * @param {Element} element what must be in sight
   * @param {() => boolean} isWanted whether to go on
   * @param {(seconds: number) => void} tick gets the time since the last tick
   * @param {AbortSignal} signal the end
   */
  constructor(element, isWanted, tick, signal) {
    this.#isWanted = isWanted;
    this.#tick = tick;
    this.#signal = signal;
    const sightings = new IntersectionObserver((entries) => {
      this.#isInSight = entries[entries.length - 1].isIntersecting;
      this.wake();
    });
    sightings.observe(element);
    document.addEventListener("visibilitychange", () => this.wake(), { signal });
    signal.addEventListener("abort", () => {
      sightings.disconnect();
      cancelAnimationFrame(this.#id);
    });
  }

  /** Look again whether a tick is wanted. */
  wake() {
    if (this.#id || !this.#canRun()) return;
    this.#last = performance.now();
    this.#request();
  }

  #request() {
    this.#id = requestAnimationFrame((now) => {
      this.#id = 0;
      if (!this.#canRun()) return;
      const seconds = Math.min(Math.max(now - this.#last, 0) / 1000, LONGEST_PAUSE);
      this.#last = now;
      this.#tick(seconds);
      if (!this.#id && this.#canRun()) this.#request();
    });
  }

  #canRun() {
    return this.#isInSight && !document.hidden && !this.#signal.aborted && this.#isWanted();
  }
}
