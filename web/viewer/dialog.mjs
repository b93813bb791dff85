// A dialog over the image, which keeps the wheel and keys for itself.

import { element } from "./dom.mjs";

/**
 * Create a hidden dialog. Keys scroll it or are for its controls; of the viewer's shortcuts ? works.
 * @param {Record<string, string>} attributes class and accessible name
 * @param {HTMLElement[]} content
 * @param {() => void} close called on Escape
 */
export function dialog(attributes, content, close) {
  const created = element("div", { role: "dialog", tabindex: "-1", ...attributes }, ...content);
  created.hidden = true;
  for (const name of ["wheel", "dblclick"])
    created.addEventListener(name, (event) => event.stopPropagation());
  created.addEventListener("keydown", (event) => {
    if (event.key === "?") return;
    event.stopPropagation(); // Delete would delete ComfyUI's node
    if (event.key === "Escape") close();
  });
  return created;
}
