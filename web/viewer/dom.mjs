// Small helpers for elements, icons, PNG images, downloads and the choice of a file.

import { ViewerError } from "./errors.mjs";

const SVG = "http://www.w3.org/2000/svg";

/** SVG paths in a box of 16 by 16. */
const ICONS = {
  play: "M5 3.2 12.6 8 5 12.8z",
  pause: "M5.2 3.5v9M10.8 3.5v9",
  back: "M11.5 3.8 6.2 8l5.3 4.2zM4.3 3.8v8.4",
  forward: "M4.5 3.8 9.8 8l-5.3 4.2zM11.7 3.8v8.4",
  loop: "M3 7.6a5 5 0 0 1 8.7-2.9L13 6M13 2.8V6H9.8M13 8.4a5 5 0 0 1-8.7 2.9L3 10M3 13.2V10h3.2",
  pingPong: "M2.5 8h11M5.3 5 2.5 8l2.8 3M10.7 5l2.8 3-2.8 3",
  input: "M2.3 4.6h7.4v6.8H2.3zM9.7 7.2l4-2.2v6l-4-2.2z",
  fit: "M2.5 5.8V2.5h3.3M10.2 2.5h3.3v3.3M13.5 10.2v3.3h-3.3M5.8 13.5H2.5v-3.3M6 6h4v4H6z",
  screenshot: "M2.3 5.2h2.6L6 3.5h4l1.1 1.7h2.6v7.3H2.3zM8 6.5a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4z",
  download: "M8 2.5v7.3M4.8 6.8 8 10l3.2-3.2M2.8 13.2h10.4",
  settings: "M2.5 4.5h5M11.5 4.5h2M2.5 11.5h2M8.5 11.5h5M9.5 2.7v3.6M6.5 9.7v3.6",
  fullScreen: "M9.6 2.5h3.9v3.9M13.5 2.5 9.4 6.6M6.4 13.5H2.5V9.6M2.5 13.5l4.1-4.1",
};

/** @typedef {keyof typeof ICONS} IconName */

/**
 * Create an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value);
  created.append(...children);
  return created;
}

/**
 * Create a button with an icon or a text.
 * @param {string} label its accessible name and tooltip
 * @param {IconName | {text: string}} content
 * @param {() => void} onClick
 */
export function button(label, content, onClick) {
  const child = typeof content === "string" ? icon(content) : content.text;
  const created = element("button", { type: "button" }, child);
  setLabel(created, label);
  created.addEventListener("click", onClick);
  return created;
}

/**
 * Set a control's accessible name and tooltip.
 * @param {HTMLElement} control
 * @param {string} label
 */
export function setLabel(control, label) {
  if (control.title === label) return;
  control.title = label;
  control.setAttribute("aria-label", label);
}

/**
 * @param {IconName} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * Return a canvas's content as PNG.
 * @param {HTMLCanvasElement} canvas
 * @returns {Promise<Blob>}
 * @throws {ViewerError} if the browser cannot encode it
 */
export async function encodePng(canvas) {
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new ViewerError("The browser could not encode the screenshot.");
  return blob;
}

/**
 * Download a file.
 * @param {Blob} content
 * @param {string} name
 */
export function download(content, name) {
  const url = URL.createObjectURL(content);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser reads the blob after the click
}

/**
 * Let the user choose a file; null if none is chosen.
 * @param {string} accept its types or suffixes
 * @returns {Promise<File | null>}
 */
export function chooseFile(accept) {
  const input = element("input", { type: "file", accept });
  return new Promise((resolve) => {
    input.addEventListener("change", () => resolve(input.files?.[0] ?? null));
    input.addEventListener("cancel", () => resolve(null));
    input.click();
  });
}
