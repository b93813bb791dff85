// The content of STAG4D Preview's widget: a player while its node is in a graph, and the view that is saved.

import { forwardToGraph, keepFromNode } from "./events.mjs";
import { graphMetadata } from "./file_metadata.mjs";
import { latestResult, rememberResult } from "./latest_results.mjs";
import { persistentName } from "./nodes.mjs";
import { isFromAnotherTab } from "./prompts.mjs";
import { isFileName, outputFiles, readFile, storedFiles, storeFiles } from "./scene_files.mjs";
import { recordChange, recordResult } from "./workflow_state.mjs";

/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../scripts/app.js").NodeOutput} NodeOutput */
/** @typedef {import("../viewer/player.mjs").S4DPlayer} S4DPlayer */
/** @typedef {import("./scene_files.mjs").SceneFiles} SceneFiles */

const MIN_HEIGHT = 280; // of the widget, pixels
const CHANGE_DELAY = 300; // milliseconds without a change, after which the workflow's state is captured
const NO_FILE = "Run the workflow to see the scene.";
const NOT_LOADED = "The viewer could not be loaded; reload the page.";
const FILE_GONE = "The scene is no longer in the temp folder. Run the workflow to see it again.";
const SECOND_GONE = "Scene B is no longer in the temp folder. Run the workflow to see it again.";
// The canvas has the aspect ratio of the node's cameras and is as large as the widget allows.
const CANVAS_STYLE = `
.viewport { container-type: size; display: grid; place-items: center; }
canvas { position: static; height: auto; aspect-ratio: var(--aspect); }
canvas { width: min(100cqw, 100cqh * var(--aspect)); }
`;

/** The files in the last output of each node, by its persistent name: the host sends it again on undo. */
const lastOutputs = new Map();

/** Content of the widget. */
export class Preview {
  element = document.createElement("div");
  minHeight = MIN_HEIGHT;
  /** @type {GraphNode | null} */
  #node = null;
  #view = "";
  #time = 0; // of the saved view
  /** @type {S4DPlayer | null} */
  #player = null;
  #fileName = ""; // of the scene
  #secondName = ""; // of scene B, unless the user has chosen it
  /** @type {SceneFiles} */
  #files = []; // the node's, when they were last shown
  /** @type {AbortController | null} */
  #disposal = null;
  #timer = 0;

  constructor() {
    this.element.style.cssText = `width: 100%; height: 100%; min-height: ${MIN_HEIGHT}px; overflow: hidden`;
    this.element.style.borderRadius = "6px";
    forwardToGraph(this.element);
    keepFromNode(this.element);
    this.element.addEventListener("contextmenu", (event) => event.preventDefault()); // the right button pans
  }

  /** The saved view as JSON; empty until the user has chosen one. */
  get value() {
    return this.#view;
  }

  set value(text) {
    const view = typeof text === "string" ? text : "";
    if (view === this.#view) return; // an undo of something else: playback goes on
    this.#view = view;
    this.#time = 0;
    this.#applyView();
  }

  /**
   * The node was added to a graph.
   * @param {GraphNode} node
   */
  async start(node) {
    this.#node = node;
    this.updateAspect();
    if (this.#disposal) return;
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
    player.metadata = graphMetadata;
    player.showMessage(NO_FILE);
    this.#applyView();
    this.#files = []; // what was received while the player was loading is not shown yet
    this.configure();
  }

  /** The node is no longer in a graph. */
  dispose() {
    clearTimeout(this.#timer);
    this.#disposal?.abort();
    this.#player?.dispose();
    this.#disposal = this.#player = this.#node = null;
    this.#fileName = this.#secondName = "";
    this.#files = [];
  }

  /**
   * Show the latest result with the workflow's inputs, otherwise the files that the workflow stores.
   * What was shown before is not shown again: a later live preview stays.
   */
  configure() {
    this.updateAspect();
    const node = this.#node;
    if (!this.#player || !node) return;
    const latest = latestResult(node);
    const files = latest ?? storedFiles(node);
    const [before] = this.#files;
    this.#files = files;
    if (files[0] !== before) this.#showScene(files[0]);
    this.#showSecond(files[1]);
    if (latest && storeFiles(node, latest)) recordResult(node);
  }

  /**
   * Show the files in the output of a run, and store their names in the workflow.
   * @param {NodeOutput | undefined} output
   */
  async receive(output) {
    const node = this.#node;
    const files = outputFiles(output);
    if (!node || !output || !files.length) return;
    await null; // until all listeners to the event have run
    if (isFromAnotherTab(output) || this.#node !== node) return;
    lastOutputs.set(persistentName(node), files.join());
    rememberResult(node, output, files);
    this.#files = files;
    if (storeFiles(node, files)) recordResult(node);
    this.show(files[0]);
    this.#showSecond(files[1]);
  }

  /**
   * Show the files in an output that the host sends again, if the run has ended meanwhile. Otherwise those
   * that the workflow stores are the right ones: an undo restores them, and not the output.
   * @param {NodeOutput | undefined} output
   */
  restore(output) {
    const node = this.#node;
    if (node && outputFiles(output).join() !== lastOutputs.get(persistentName(node))) this.receive(output);
  }

  /**
   * Show a file of the temp folder as the scene, unless it is shown already.
   * @param {unknown} name
   */
  async show(name) {
    const [player, disposal] = [this.#player, this.#disposal];
    if (!player || !disposal || name === this.#fileName || !isFileName(name)) return;
    this.#fileName = name;
    const { signal } = disposal;
    try {
      const bytes = await readFile(name, signal);
      if (signal.aborted || name !== this.#fileName) return;
      if (bytes) await player.load(bytes);
      else this.#showError(name, FILE_GONE);
    } catch (error) {
      if (!signal.aborted) this.#showError(name, messageOf(error));
    }
  }

  /**
   * Compare the scene with a file of the temp folder, or with none. A file that is gone is left out.
   * @param {string | undefined} name
   */
  async #showSecond(name = "") {
    const [player, disposal] = [this.#player, this.#disposal];
    if (!player || !disposal || name === this.#secondName) return;
    this.#secondName = name;
    if (!name) return player.viewport.setSecond(null);
    const isObsolete = () => disposal.signal.aborted || name !== this.#secondName;
    try {
      const bytes = await readFile(name, disposal.signal);
      if (isObsolete()) return;
      if (!bytes) throw new Error(SECOND_GONE);
      await player.viewport.loadSecond(bytes);
    } catch (error) {
      if (isObsolete()) return;
      this.#secondName = "";
      player.viewport.setSecond(null);
      console.warn(`STAG4D Preview: ${messageOf(error)}`);
    }
  }

  /** @param {string | undefined} name of a file of the temp folder; none as before the first run */
  #showScene(name) {
    if (name) this.show(name);
    else {
      this.#fileName = "";
      this.#player?.showMessage(NO_FILE);
    }
  }

  /** Give the canvas the aspect ratio of the node's cameras. */
  updateAspect() {
    const [width, height] = ["width", "height"].map(
      (name) => Number(this.#node?.widgets?.find((widget) => widget.name === name)?.value) || 1,
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
    if (!this.#player) return;
    if (!this.#view) return this.#player.resetView();
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
    this.#timer = setTimeout(() => this.#node && recordChange(this.#node), CHANGE_DELAY);
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

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
