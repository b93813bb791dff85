// Backgrounds behind the splats: "checker" (transparent, over a pattern), "white", "black" or "#rrggbb".

/** @type {Record<string, number[]>} */
const NAMED_COLORS = { checker: [0, 0, 0, 0], white: [1, 1, 1, 1], black: [0, 0, 0, 1] };

/**
 * Return a background's red, green, blue and alpha, 0 to 1.
 * @param {string} background
 * @throws {TypeError} if it is neither a name nor #rrggbb
 */
export function backgroundColor(background) {
  if (Object.hasOwn(NAMED_COLORS, background)) return NAMED_COLORS[background];
  if (!/^#[0-9a-f]{6}$/i.test(background)) {
    throw new TypeError(`background: ${background}; expected checker, white, black or #rrggbb.`);
  }
  const code = Number.parseInt(background.slice(1), 16);
  return [(code >> 16) / 255, ((code >> 8) & 255) / 255, (code & 255) / 255, 1];
}
