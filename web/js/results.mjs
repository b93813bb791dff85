// The content of the widget that shows what a run has given: links to the files that it wrote, below
// warnings, or a text.

import { api } from "../../../scripts/api.js";
import { forwardToGraph, keepFromNode } from "./events.mjs";
import { isFromAnotherTab } from "./prompts.mjs";
import { recordResult } from "./workflow_state.mjs";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../scripts/app.js").NodeOutput} NodeOutput */
/** @typedef {import("../../../scripts/app.js").OutputFile} OutputFile */

const FILES = "stag4d_files"; // FILES_KEY in nodes/host/results.py
const WARNINGS = "stag4d_warnings"; // WARNINGS_KEY there
const TEXT = "text"; // of the host's PreviewText
const LINE_HEIGHT = 18; // pixels
const MAX_LINES = 10; // more can be scrolled to
const LINE_LENGTH = 42; // characters of a wrapped line, about
const STATUS_DURATION = 2000; // milliseconds
const FRAME = 44; // of the border, the padding, a scroll bar and the button, pixels
const STYLE = `
.stag4d-results { display: flex; flex-direction: column; overflow: hidden; border-radius: 6px;
  background: var(--comfy-input-bg, #222); border: 1px solid var(--border-color, #4e4e4e); }
.stag4d-results[hidden] { display: none; }
.stag4d-results pre { flex: 1; margin: 0; padding: 4px 8px; overflow: auto; user-select: text;
  color: var(--input-text, #ddd); font: 11px/${LINE_HEIGHT}px monospace; }
.stag4d-results .warning { white-space: pre-wrap; color: #f2a33a; }
.stag4d-results a { color: inherit; text-decoration: underline; }
.stag4d-results footer { display: flex; justify-content: flex-end; align-items: center; gap: 8px;
  margin: 0 4px 4px; color: var(--input-text, #ddd); font: 11px/16px sans-serif; }
.stag4d-results button { padding: 0 8px; border-radius: 4px;
  color: var(--input-text, #ddd); font: 11px/16px sans-serif; cursor: pointer;
  background: var(--comfy-menu-bg, #353535); border: 1px solid var(--border-color, #4e4e4e); }
`;

/** Content of the widget; hidden until there is a result. */
export class Results {
  element = document.createElement("div");
  value = ""; // nothing that a workflow stores
  minHeight = 0; // shows all lines, or the first few
  #text = document.createElement("pre");
  #button = document.createElement("button");
  #status = document.createElement("span"); // of copying
  #timer = 0;
  /** @type {GraphNode | null} */
  #node = null;

  constructor() {
    this.element.className = "stag4d-results";
    this.element.hidden = true;
    this.#text.tabIndex = 0;
    this.#text.role = "region";
    this.#text.ariaLabel = "Results";
    this.#text.addEventListener("keydown", (event) => this.#handleKey(event));
    this.#text.dataset.captureWheel = "true"; // the wheel scrolls the text while it has focus
    this.#text.addEventListener("wheel", (event) => this.#isScrolled() && event.stopPropagation());
    this.#button.addEventListener("click", () => this.#copy());
    this.element.addEventListener("copy", (event) => event.stopPropagation()); // the host would copy the node
    this.#button.textContent = "Copy";
    this.#status.role = "status";
    const footer = document.createElement("footer");
    footer.append(this.#status, this.#button);
    this.element.append(style(), this.#text, footer);
    forwardToGraph(this.element);
    keepFromNode(this.element);
  }

  /**
   * The node was added to a graph.
   * @param {GraphNode} node
   */
  start(node) {
    this.#node = node;
    this.#fit();
  }

  /** The node is no longer in a graph. */
  dispose() {
    clearTimeout(this.#timer);
    this.#status.textContent = "";
    this.#node = null;
  }

  /**
   * Show the output of a run.
   * @param {NodeOutput | undefined} output
   */
  async receive(output) {
    await null; // until all listeners to the event have run
    if (output && !isFromAnotherTab(output)) this.restore(output);
  }

  /**
   * Show an output.
   * @param {NodeOutput | undefined} output
   */
  restore(output) {
    const files = (output?.[FILES] ?? []).filter(isOutputFile);
    const texts = (output?.[TEXT] ?? []).filter((text) => typeof text === "string"); // one per run on a list
    const warnings = (output?.[WARNINGS] ?? []).filter((text) => typeof text === "string");
    const parts = [...warnings.map(warning), ...files.map(link)];
    const numWrapped = warnings.reduce((sum, text) => sum + Math.floor(text.length / LINE_LENGTH), 0);
    if (parts.length)
      this.#show(
        parts.flatMap((part, index) => (index ? ["\n", part] : [part])),
        numWrapped,
      );
    else if (texts.length) this.#show([texts.join("\n")]);
  }

  /**
   * @param {(Node | string)[]} parts
   * @param {number} numWrapped lines that the warnings have because they are wrapped
   */
  #show(parts, numWrapped = 0) {
    this.#text.replaceChildren(...parts);
    this.#status.textContent = "";
    const numLines = numWrapped + (this.#text.textContent ?? "").split("\n").length;
    this.minHeight = FRAME + LINE_HEIGHT * Math.min(numLines, MAX_LINES);
    this.element.style.minHeight = `${this.minHeight}px`;
    this.element.hidden = false;
    this.#fit();
  }

  /** Make the node as high as its widgets need. */
  #fit() {
    const node = this.#node;
    if (!node || !this.minHeight) return;
    const [, height] = node.computeSize();
    if (node.size[1] < height) {
      node.setSize([node.size[0], height]);
      recordResult(node);
    }
    node.graph?.setDirtyCanvas(true, true);
  }

  #isScrolled() {
    return this.#text.matches(":focus") && this.#text.scrollHeight > this.#text.clientHeight;
  }

  async #copy() {
    const text = this.#text.textContent ?? "";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Browsers offer the clipboard only to pages from https or localhost.
      window.getSelection()?.selectAllChildren(this.#text);
      if (!document.execCommand("copy")) return;
    }
    this.#status.textContent = "Copied";
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.#status.textContent = ""), STATUS_DURATION);
  }

  /**
   * Keep keys that would change or select nodes; Ctrl+A selects the text.
   * @param {KeyboardEvent} event
   */
  #handleKey(event) {
    const isSelectAll = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a";
    if (!isSelectAll && !["Delete", "Backspace"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (isSelectAll) window.getSelection()?.selectAllChildren(this.#text);
  }
}

/** Return the style sheet of a widget. */
function style() {
  const sheet = document.createElement("style");
  sheet.textContent = STYLE;
  return sheet;
}

/**
 * Whether an entry of an output is a file in the output or the temp folder, the only ones that are linked.
 * @param {unknown} entry
 * @returns {entry is OutputFile}
 */
function isOutputFile(entry) {
  const { filename, subfolder, type } = /** @type {Record<string, unknown>} */ (Object(entry));
  return (
    typeof filename === "string" && typeof subfolder === "string" && (type === "output" || type === "temp")
  );
}

/**
 * Return the element of a warning.
 * @param {string} text
 */
function warning(text) {
  const element = document.createElement("span");
  element.className = "warning";
  element.textContent = text;
  return element;
}

/**
 * Return a link that downloads a file through the host, which checks that it lies in its folder.
 * @param {OutputFile} file
 */
function link({ filename, subfolder, type }) {
  const anchor = document.createElement("a");
  const query = new URLSearchParams({ filename, subfolder, type });
  anchor.href = api.apiURL(`/view?${query}`);
  anchor.download = filename;
  anchor.textContent = subfolder && type === "output" ? `${subfolder}/${filename}` : filename;
  anchor.title = `Download ${filename}`;
  return anchor;
}
