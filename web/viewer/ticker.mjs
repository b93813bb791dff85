// When to draw: once per display frame while something changes, never in a hidden tab or off screen.

const MAX_TICK_SECONDS = 0.25; // a busy page slows playback down instead of skipping frames

/** Calls back before the browser paints, as long as a tick is needed and the element is visible. */
export class Ticker {
  #isNeeded;
  #tick;
  #signal;
  #isVisible = true;
  #id = 0;
  #last = 0;

  /**
   * @param {Element} element
   * @param {() => boolean} isNeeded whether another tick is needed
   * @param {(seconds: number) => void} tick receives the time since the last tick
   * @param {AbortSignal} signal stops the ticker
   */
  constructor(element, isNeeded, tick, signal) {
    this.#isNeeded = isNeeded;
    this.#tick = tick;
    this.#signal = signal;
    const observer = new IntersectionObserver((entries) => {
      this.#isVisible = entries[entries.length - 1].isIntersecting;
      this.wake();
    });
    observer.observe(element);
    document.addEventListener("visibilitychange", () => this.wake(), { signal });
    signal.addEventListener("abort", () => {
      observer.disconnect();
      cancelAnimationFrame(this.#id);
    });
  }

  /** Start ticking again if a tick is needed. */
  wake() {
    if (this.#id || !this.#canRun()) return;
    this.#last = performance.now();
    this.#request();
  }

  #request() {
    this.#id = requestAnimationFrame((now) => {
      this.#id = 0;
      if (!this.#canRun()) return;
      const seconds = Math.min(Math.max(now - this.#last, 0) / 1000, MAX_TICK_SECONDS);
      this.#last = now;
      this.#tick(seconds);
      if (!this.#id && this.#canRun()) this.#request();
    });
  }

  #canRun() {
    return this.#isVisible && !document.hidden && !this.#signal.aborted && this.#isNeeded();
  }
}
