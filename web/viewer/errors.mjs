// The error whose message is meant for the person who looks at the viewer.

/** A clip that cannot be shown; the message says why in a sentence. */
export class ClipError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "ClipError";
  }
}
