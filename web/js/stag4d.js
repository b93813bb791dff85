// The viewer on STAG4D Preview. The host loads this file with every page, the viewer only with such a node.

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const NODE = "STAG4DPreview";
const OUTPUT = "stag4d_clip"; // nodes/preview.py names it
const GROWING = "stag4d.growing"; // and nodes/growing.py this
const FOLDER = "stag4d"; // under the host's temp
const NAME = /^[0-9a-f]{32}\.s4d$/;
const PROPERTY = "stag4d_clip"; // the clip's name, so that a reloaded workflow shows it
const SIZE = [460, 680]; // of a new node
const MIN_HEIGHT = 280;
const SETTLED = 300; // milliseconds without a change, before the host takes notice of it
const NO_CLIP = "Run the workflow to see the scene.";
const NOT_LOADED = "The viewer could not be loaded; reload the page.";
const GONE = "This clip is no longer in the temp folder. Run the workflow to see it again.";
// The picture has the shape of the node's cameras, in the middle of what space there is.
const FRAME = `
.picture { container-type: size; display: grid; place-items: center; }
canvas { position: static; height: auto; aspect-ratio: var(--aspect); }
canvas { width: min(100cqw, 100cqh * var(--aspect)); }
`;

/** Widgets of nodes that are in a graph. */
const widgets = new Set();

/** A player, as long as its node is in a graph, and the view as the node's value. */
class Preview {
  element = document.createElement("div");
  #node;
  #view = "";
  #time = 0; // of the view
  #player = null;
  #shown = "";
  #end = null;
  #timer = 0;

  constructor(node) {
    this.#node = node;
    this.element.style.cssText = `width: 100%; height: 100%; min-height: ${MIN_HEIGHT}px; overflow: hidden`;
    this.element.style.borderRadius = "6px";
    passToGraph(this.element);
  }

  get view() {
    return this.#view;
  }

  set view(text) {
    this.#view = typeof text === "string" ? text : "";
    this.#time = 0;
    this.#applyView();
  }

  /** The node has come into a graph. */
  async start() {
    if (this.#end) return;
    widgets.add(this);
    const end = (this.#end = new AbortController());
    const ClipPlayer = await loadPlayer();
    if (end.signal.aborted) return;
    this.element.textContent = ClipPlayer ? "" : NOT_LOADED;
    if (!ClipPlayer) {
      this.#end = null; // so that the next start tries again
      return;
    }
    const player = (this.#player = new ClipPlayer(this.element, { title: "scene" }));
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(FRAME);
    player.element.shadowRoot.adoptedStyleSheets.push(sheet);
    player.addEventListener("change", () => this.#changed());
    player.fail(NO_CLIP);
    this.shape();
    this.#applyView();
    this.show(this.#node.properties[PROPERTY]);
  }

  /** The node has left its graph. */
  stop() {
    widgets.delete(this);
    clearTimeout(this.#timer);
    this.#end?.abort();
    this.#player?.dispose();
    this.#end = this.#player = null;
    this.#shown = "";
  }

  /** Show what an execution has put out, if this node has. */
  receive(output) {
    const name = output?.[OUTPUT]?.[0]?.filename;
    if (NAME.test(name)) this.#node.properties[PROPERTY] = name;
    this.show(name);
  }

  /** Show a clip of the temp folder; once, however often it is told. */
  async show(name) {
    if (!this.#player || name === this.#shown || !NAME.test(name)) return;
    this.#shown = name;
    const [player, { signal }] = [this.#player, this.#end];
    const query = new URLSearchParams({ filename: name, subfolder: FOLDER, type: "temp" });
    try {
      const answer = await api.fetchApi(`/view?${query}`, { signal });
      const bytes = answer.ok ? await answer.arrayBuffer() : null;
      if (signal.aborted || name !== this.#shown) return;
      if (bytes) await player.load(bytes);
      else this.#fail(name, GONE);
    } catch (error) {
      if (!signal.aborted) this.#fail(name, error.message);
    }
  }

  /** Give the picture the shape of the node's cameras. */
  shape() {
    const [width, height] = ["width", "height"].map(
      (name) => Number(this.#node.widgets?.find((widget) => widget.name === name)?.value) || 1,
    );
    this.element.style.setProperty("--aspect", String(width / height));
  }

  /** Say why there is no clip; the next run may bring the same one. */
  #fail(name, message) {
    if (name !== this.#shown) return;
    this.#shown = "";
    this.#player.fail(message);
  }

  #applyView() {
    if (!this.#player || !this.#view) return;
    try {
      this.#player.setView(JSON.parse(this.#view));
      this.#time = this.#player.getView().time;
    } catch (error) {
      console.warn(`STAG4D Preview: ${error.message}`); // the node says so when it runs
    }
  }

  /** The user has moved the camera or the time; while the clip plays, nobody has chosen a time. */
  #changed() {
    if (!this.#player.clock.isPlaying) this.#snap();
    this.#view = JSON.stringify({ ...this.#player.getView(), time: this.#time });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#node.graph?.change();
      app.extensionManager.workflow.activeWorkflow?.changeTracker?.captureCanvasState();
    }, SETTLED);
  }

  /** Stand still at whole frames only: between them the viewer's motion is not quite the scene's. */
  #snap() {
    const { clock } = this.#player;
    if (clock.numFrames > 1) this.#player.setView({ time: clock.frame / (clock.numFrames - 1) });
    this.#time = this.#player.getView().time;
  }

  /** The node's name among the outputs of an execution. */
  get outputName() {
    const { id, graph } = this.#node;
    return graph.isRootGraph ? String(id) : `${graph.id}:${id}`;
  }

  /** Whether an event is of this node's workflow, as far as both say which it is. */
  isOf(workflow) {
    const { id } = this.#node.graph.rootGraph;
    return !workflow || !id || workflow === id;
  }
}

/** Return the player's class, or null if its files cannot be loaded. */
async function loadPlayer() {
  try {
    return (await import(new URL("../viewer/player.mjs", import.meta.url))).ClipPlayer;
  } catch (error) {
    console.error(`STAG4D Preview: ${error.message}`);
    return null;
  }
}

/** Let the graph have the wheel, where the viewer does not want it, and the middle button, which moves it. */
function passToGraph(element) {
  const pass = (method, isMeant) => (event) => {
    if (window.LiteGraph.vueNodesMode || !isMeant(event)) return; // there the host does it
    event.preventDefault();
    app.canvas[method](event);
  };
  element.addEventListener(
    "wheel",
    pass("processMouseWheel", () => true),
  );
  element.addEventListener(
    "pointerdown",
    pass("processMouseDown", ({ button }) => button === 1),
  );
  element.addEventListener(
    "pointermove",
    pass("processMouseMove", ({ buttons }) => buttons & 4),
  );
  element.addEventListener(
    "pointerup",
    pass("processMouseUp", ({ button }) => button === 1),
  );
}

/** Call one more function after a method of an object, if it has one. */
function after(object, method, call) {
  const first = object[method];
  object[method] = function (...given) {
    const result = first?.apply(this, given);
    call(...given);
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
        hideInPanel: true, // the element can be in one place only
      });
      after(node, "onAdded", () => preview.start());
      after(node, "onRemoved", () => preview.stop());
      after(node, "onExecuted", (output) => preview.receive(output));
      after(node, "onConfigure", () => {
        preview.shape();
        preview.show(node.properties[PROPERTY]);
      });
      for (const side of node.widgets.filter((other) => ["width", "height"].includes(other.name))) {
        after(side, "callback", () => preview.shape());
      }
      return { widget };
    },
  }),

  nodeCreated(node) {
    if (node.constructor.comfyClass !== NODE) return;
    node.setSize(SIZE.map((length, side) => Math.max(length, node.size[side])));
  },

  /** A scene is being fitted: its viewers show how far it is. */
  setup() {
    api.addEventListener(GROWING, ({ detail }) => {
      for (const preview of widgets) {
        const isMeant = preview.isOf(detail.workflow) && detail.viewers.includes(preview.outputName);
        if (isMeant) preview.show(detail.filename);
      }
    });
  },

  /** The host sends outputs again, as after another workflow was shown. */
  onNodeOutputsUpdated(outputs) {
    for (const preview of widgets) preview.receive(outputs[preview.outputName]);
  },
});
