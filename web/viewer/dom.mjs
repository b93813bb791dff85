// Small helpers for elements, icons and downloads.

const SVG = "http://www.w3.org/2000/svg";

/** Outlines in a box of 16 by 16. */
const ICONS = {
  play: "M5 3.2 12.6 8 5 12.8z",
  pause: "M5.2 3.5v9M10.8 3.5v9",
  back: "M11.5 3.8 6.2 8l5.3 4.2zM4.3 3.8v8.4",
  forward: "M4.5 3.8 9.8 8l-5.3 4.2zM11.7 3.8v8.4",
  loop: "M3 7.6a5 5 0 0 1 8.7-2.9L13 6M13 2.8V6H9.8M13 8.4a5 5 0 0 1-8.7 2.9L3 10M3 13.2V10h3.2",
  pingPong: "M2.5 8h11M5.3 5 2.5 8l2.8 3M10.7 5l2.8 3-2.8 3",
  input: "M2.3 4.6h7.4v6.8H2.3zM9.7 7.2l4-2.2v6l-4-2.2z",
  fit: "M2.5 5.8V2.5h3.3M10.2 2.5h3.3v3.3M13.5 10.2v3.3h-3.3M5.8 13.5H2.5v-3.3M6 6h4v4H6z",
  picture: "M2.3 5.2h2.6L6 3.5h4l1.1 1.7h2.6v7.3H2.3zM8 6.5a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4z",
  enlarge: "M9.6 2.5h3.9v3.9M13.5 2.5 9.4 6.6M6.4 13.5H2.5V9.6M2.5 13.5l4.1-4.1",
};

/** @typedef {keyof typeof ICONS} IconName */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Make a button that shows an icon or a word; the label is its accessible name and its tooltip.
 * @param {string} label
 * @param {IconName | {text: string}} face
 * @param {() => void} press
 */
export function button(label, face, press) {
  const made = element("button", { type: "button" }, typeof face === "string" ? icon(face) : face.text);
  relabel(made, label);
  made.addEventListener("click", press);
  return made;
}

/**
 * Give a control another name.
 * @param {HTMLElement} control
 * @param {string} label
 */
export function relabel(control, label) {
  if (control.title === label) return;
  control.title = label;
  control.setAttribute("aria-label", label);
}

/**
 * @param {IconName} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 16 16");
  picture.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  picture.append(path);
  return picture;
}

/**
 * Offer a file as a download.
 * @param {Blob} content
 * @param {string} name
 */
export function download(content, name) {
  const url = URL.createObjectURL(content);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser reads it after the click
}
