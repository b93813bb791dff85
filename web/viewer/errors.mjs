// The error whose message the viewer shows to its user, and how a control shows why it failed.

/** A file that cannot be shown, or a browser that cannot show it; the message is a sentence for the user. */
export class ViewerError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "ViewerError";
  }
}

/**
 * Do something, and show why it fails.
 * @param {HTMLElement} output shows the error
 * @param {() => Promise<void> | void} action
 */
export async function attempt(output, action) {
  output.textContent = "";
  try {
    await action();
  } catch (error) {
    output.textContent = error instanceof Error ? error.message : String(error);
  }
}
