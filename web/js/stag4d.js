// The viewer widget of STAG4D Preview. ComfyUI loads this file with its page; the viewer's own modules are
// imported when the first such node is added to a graph.

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { showSecond, storeSecond } from "./second_scene.mjs";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../viewer/player.mjs").S4DPlayer} S4DPlayer */

/**
 * An .s4d file to show while a scene is being fitted.
 * @typedef {object} LivePreview
 * @property {string[]} viewers ids of the Preview nodes that show it
 * @property {string | null} workflow id of the workflow that runs
 * @property {string} filename
 */

const NODE = "STAG4DPreview";
const OUTPUT = "stag4d_clip"; // the .s4d file; UI_KEY in nodes/preview.py
const LIVE_PREVIEW = "stag4d.live_preview"; // EVENT in nodes/host/live_preview.py
const FOLDER = "stag4d"; // in ComfyUI's temp folder
const FILE_NAME = /^[0-9a-f]{32}\.s4d$/;
const PROPERTY = "stag4d_clip"; // node property, stored in workflows: the .s4d file to show after a reload
const SIZE = [460, 680]; // of a new node, pixels
const MIN_HEIGHT = 280; // of the widget, pixels
const CHANGE_DELAY = 300; // milliseconds without a change, after which the workflow's state is captured
const NO_FILE = "Run the workflow to see the scene.";
const NOT_LOADED = "The viewer could not be loaded; reload the page.";
const FILE_GONE = "The scene is no longer in the temp folder. Run the workflow to see it again.";
// The canvas has the aspect ratio of the node's cameras and is as large as the widget allows.
const CANVAS_STYLE = `
.viewport { container-type: size; display: grid; place-items: center; }
canvas { position: static; height: auto; aspect-ratio: var(--aspect); }
canvas { width: min(100cqw, 100cqh * var(--aspect)); }
`;

/** Widgets of the nodes that are in a graph. @type {Set<Preview>} */
const widgets = new Set();

/** The widget of one node: a player while the node is in a graph; the saved view is the widget's value. */
class Preview {
  element = document.createElement("div");
  #node;
  #view = "";
  #time = 0; // of the saved view
  /** @type {S4DPlayer | null} */
  #player = null;
  #fileName = "";
  /** @type {AbortController | null} */
  #disposal = null;
  #timer = 0;

  /** @param {GraphNode} node */
  constructor(node) {
    this.#node = node;
    this.element.style.cssText = `width: 100%; height: 100%; min-height: ${MIN_HEIGHT}px; overflow: hidden`;
    this.element.style.borderRadius = "6px";
    forwardToGraph(this.element);
  }

  get view() {
    return this.#view;
  }

  set view(text) {
    this.#view = typeof text === "string" ? text : "";
    this.#time = 0;
    this.#applyView();
  }

  /** The node was added to a graph. */
  async start() {
    if (this.#disposal) return;
    widgets.add(this);
    const disposal = (this.#disposal = new AbortController());
    const Player = await loadPlayer();
    if (disposal.signal.aborted) return;
    this.element.textContent = Player ? "" : NOT_LOADED;
    if (!Player) {
      this.#disposal = null; // so that the next start tries again
      return;
    }
    const player = (this.#player = new Player(this.element, { title: "scene" }));
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CANVAS_STYLE);
    player.element.shadowRoot?.adoptedStyleSheets.push(sheet);
    player.addEventListener("change", () => this.#viewChanged());
    player.showMessage(NO_FILE);
    this.updateAspect();
    this.#applyView();
    this.show(this.#node.properties[PROPERTY]);
    showSecond(this.#node, player, disposal.signal);
  }

  /** The node was removed from its graph. */
  stop() {
    widgets.delete(this);
    clearTimeout(this.#timer);
    this.#disposal?.abort();
    this.#player?.dispose();
    this.#disposal = this.#player = null;
    this.#fileName = "";
  }

  /**
   * Show the file in the node's output, if it has one.
   * @param {Record<string, {filename: string}[]> | undefined} output
   */
  receive(output) {
    const name = output?.[OUTPUT]?.[0]?.filename;
    if (output && isFileName(name)) {
      this.#node.properties[PROPERTY] = name;
      storeSecond(this.#node, output);
      if (this.#player && this.#disposal) showSecond(this.#node, this.#player, this.#disposal.signal);
    }
    this.show(name);
  }

  /**
   * Show a file of the temp folder, unless it is shown already.
   * @param {unknown} name
   */
  async show(name) {
    const [player, disposal] = [this.#player, this.#disposal];
    if (!player || !disposal || name === this.#fileName || !isFileName(name)) return;
    this.#fileName = name;
    const { signal } = disposal;
    const query = new URLSearchParams({ filename: name, subfolder: FOLDER, type: "temp" });
    try {
      const response = await api.fetchApi(`/view?${query}`, { signal });
      const bytes = response.ok ? await response.arrayBuffer() : null;
      if (signal.aborted || name !== this.#fileName) return;
      if (bytes) await player.load(bytes);
      else this.#showError(name, FILE_GONE);
    } catch (error) {
      if (!signal.aborted) this.#showError(name, messageOf(error));
    }
  }

  /** Give the canvas the aspect ratio of the node's cameras. */
  updateAspect() {
    const [width, height] = ["width", "height"].map(
      (name) => Number(this.#node.widgets?.find((widget) => widget.name === name)?.value) || 1,
    );
    this.element.style.setProperty("--aspect", String(width / height));
  }

  /**
   * Show why a file cannot be shown, and forget its name, since the next run may output the same.
   * @param {string} name
   * @param {string} message
   */
  #showError(name, message) {
    if (name !== this.#fileName) return;
    this.#fileName = "";
    this.#player?.showMessage(message);
  }

  #applyView() {
    if (!this.#player || !this.#view) return;
    try {
      this.#player.setView(JSON.parse(this.#view));
      this.#time = this.#player.getView().time;
    } catch (error) {
      console.warn(`STAG4D Preview: ${messageOf(error)}`); // running the node reports it to the user
    }
  }

  /** Save the view after a change by the user. During playback the time is not one that the user chose. */
  #viewChanged() {
    if (!this.#player) return;
    if (!this.#player.clock.isPlaying) this.#time = snapToFrame(this.#player);
    this.#view = JSON.stringify({ ...this.#player.getView(), time: this.#time });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#node.graph?.change();
      app.extensionManager.workflow.activeWorkflow?.changeTracker?.captureCanvasState();
    }, CHANGE_DELAY);
  }

  /** The node's key in the outputs of an execution. */
  get outputName() {
    const { id, graph } = this.#node;
    return !graph || graph.isRootGraph ? String(id) : `${graph.id}:${id}`;
  }

  /**
   * Whether an event is about this node's workflow; an event or a graph without an id matches any.
   * @param {string | null} workflow
   */
  belongsTo(workflow) {
    const id = this.#node.graph?.rootGraph.id;
    return !workflow || !id || workflow === id;
  }
}

/**
 * Move a paused player to the nearest whole frame and return its time: between frames the viewer's linear
 * interpolation differs from the scene's deformation field.
 * @param {S4DPlayer} player
 */
function snapToFrame(player) {
  const { clock } = player;
  if (clock.numFrames > 1) player.setView({ time: clock.frame / (clock.numFrames - 1) });
  return player.getView().time;
}

/** Return the player's class, or null if the viewer's modules cannot be loaded. */
async function loadPlayer() {
  try {
    return (await import("../viewer/player.mjs")).S4DPlayer;
  } catch (error) {
    console.error(`STAG4D Preview: ${messageOf(error)}`);
    return null;
  }
}

/**
 * @param {unknown} name
 * @returns {name is string}
 */
function isFileName(name) {
  return typeof name === "string" && FILE_NAME.test(name);
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Forward to the graph what the viewer does not handle: the wheel, which zooms, and the middle button, which
 * pans.
 * @param {HTMLElement} element
 */
function forwardToGraph(element) {
  /**
   * @template {Event} T
   * @param {import("../../../scripts/app.js").CanvasHandler} method
   * @param {(event: T) => boolean} accepts
   * @returns {(event: T) => void}
   */
  const forward = (method, accepts) => (event) => {
    if (window.LiteGraph.vueNodesMode || !accepts(event)) return; // Vue nodes forward events themselves
    event.preventDefault();
    app.canvas[method](event);
  };
  const isMiddleButton = (/** @type {PointerEvent} */ { button }) => button === 1;
  const isMiddleButtonDown = (/** @type {PointerEvent} */ { buttons }) => (buttons & 4) !== 0;
  const any = () => true;
  element.addEventListener("wheel", forward("processMouseWheel", any));
  element.addEventListener("pointerdown", forward("processMouseDown", isMiddleButton));
  element.addEventListener("pointermove", forward("processMouseMove", isMiddleButtonDown));
  element.addEventListener("pointerup", forward("processMouseUp", isMiddleButton));
}

/**
 * Call a function after a method of an object, with the same arguments; the object need not have the method.
 * @param {any} object
 * @param {string} method
 * @param {(...args: any[]) => void} call
 */
function callAfter(object, method, call) {
  const original = object[method];
  object[method] = function (/** @type {any[]} */ ...args) {
    const result = original?.apply(this, args);
    call(...args);
    return result;
  };
}

app.registerExtension({
  name: "STAG4D.Preview",

  getCustomWidgets: () => ({
    STAG4D_VIEW(node, name) {
      const preview = new Preview(node);
      const widget = node.addDOMWidget(name, "STAG4D_VIEW", preview.element, {
        getValue: () => preview.view,
        setValue: (view) => (preview.view = view),
        getMinHeight: () => MIN_HEIGHT,
        hideOnZoom: false,
        hideInPanel: true, // an element can have only one parent
      });
      callAfter(node, "onAdded", () => preview.start());
      callAfter(node, "onRemoved", () => preview.stop());
      callAfter(node, "onExecuted", (output) => preview.receive(output));
      callAfter(node, "onConfigure", () => {
        preview.updateAspect();
        preview.show(node.properties[PROPERTY]);
      });
      for (const other of node.widgets.filter(({ name }) => ["width", "height"].includes(name))) {
        callAfter(other, "callback", () => preview.updateAspect());
      }
      return { widget };
    },
  }),

  nodeCreated(node) {
    if (node.constructor.comfyClass !== NODE) return;
    node.setSize(SIZE.map((length, side) => Math.max(length, node.size[side])));
  },

  /** Show live previews of a scene that is being fitted. */
  setup() {
    api.addEventListener(LIVE_PREVIEW, (/** @type {CustomEvent<LivePreview>} */ { detail }) => {
      for (const preview of widgets) {
        const isShown = preview.belongsTo(detail.workflow) && detail.viewers.includes(preview.outputName);
        if (isShown) preview.show(detail.filename);
      }
    });
  },

  /** Show outputs that ComfyUI restores, for instance after a switch between workflows. */
  onNodeOutputsUpdated(outputs) {
    for (const preview of widgets) preview.receive(outputs[preview.outputName]);
  },
});
