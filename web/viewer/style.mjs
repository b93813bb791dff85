// The viewer's style sheet. It is used in a shadow root, so that it and the page's own styles do not affect
// each other.

import { PANEL_CSS } from "./panel_style.mjs";

const CSS = `
:host {
  --surface: #16171b;
  --line: #292b32;
  --hover: #2a2c34;
  --pressed: #34373f;
  --text: #c9cdd6;
  --muted: #868c98;
  --accent: #8ab4ff;
  --button: 28px;
  container-type: inline-size;
  display: flex;
  flex-direction: column;
  width: 100%;
  height: 100%;
  min-height: 200px;
  overflow: hidden;
  background: var(--surface);
  color: var(--text);
  color-scheme: dark;
  font: 12px/1.3 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  outline: none;
  user-select: none;
  -webkit-user-select: none;
}
.viewport { position: relative; flex: 1 1 0; min-height: 0; }
canvas {
  position: absolute;
  inset: 0;
  width: 100%;
  height: 100%;
  cursor: grab;
  touch-action: none;
  outline: none;
  background: repeating-conic-gradient(#24262b 0 25%, #1d1e23 0 50%) 0 0 / 20px 20px;
}
canvas:active { cursor: grabbing; }
canvas:focus-visible { box-shadow: inset 0 0 0 1px var(--accent); }
.message {
  position: absolute;
  inset: 0;
  display: grid;
  place-content: center;
  padding: 24px;
  text-align: center;
  text-wrap: balance;
  font-size: 13px;
  color: var(--text);
  background: #16171be6;
  pointer-events: none;
}
.message:empty { display: none; }
.dock {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  justify-content: space-between;
  gap: 4px 14px;
  padding: 5px 8px;
  border-top: 1px solid var(--line);
}
.transport { display: flex; flex: 999 1 300px; align-items: center; gap: 2px; min-width: 0; }
.tools {
  display: flex;
  flex: 1 1 auto; /* grows to a full line when wrapped; beside .transport (999) hardly at all */
  flex-wrap: wrap;
  align-items: center;
  justify-content: space-between;
  gap: 4px 12px;
}
.group { display: flex; align-items: center; gap: 1px; }
button, select {
  box-sizing: border-box;
  height: var(--button);
  min-width: var(--button);
  margin: 0;
  padding: 0;
  border: 0;
  border-radius: 6px;
  background: none;
  color: var(--muted);
  font: inherit;
  font-variant-numeric: tabular-nums;
  text-align: center;
  cursor: pointer;
  transition: background-color 0.12s, color 0.12s;
}
:is(button, select):hover { background: var(--hover); color: var(--text); }
button:active { background: var(--pressed); }
button[aria-pressed="true"] { background: var(--pressed); color: var(--accent); }
:is(button, select, input):focus-visible { outline: 2px solid var(--accent); outline-offset: -1px; }
button.play { color: var(--text); }
.views button { min-width: 22px; }
svg {
  display: block;
  width: 16px;
  height: 16px;
  margin: auto;
  fill: none;
  stroke: currentColor;
  stroke-width: 1.3;
  stroke-linecap: round;
  stroke-linejoin: round;
}
.play svg { fill: currentColor; stroke-width: 1.8; }
select { appearance: none; padding: 0 16px 0 7px; text-align: right; }
.speed { position: relative; }
.speed::after {
  content: "";
  position: absolute;
  right: 6px;
  top: 50%;
  border: 3.5px solid #0000;
  border-top-color: var(--muted);
  transform: translateY(-25%);
  pointer-events: none;
}
option { background: var(--surface); color: var(--text); }
input[type="range"] {
  --done: 0%;
  --in: 0%; /* the loop range */
  --out: 100%;
  --track: linear-gradient(to right, #1d1e23 var(--in), #0000 var(--in) var(--out), #1d1e23 var(--out)),
    linear-gradient(to right, var(--accent) var(--done), #3b3e47 var(--done));
  flex: 1 1 60px;
  min-width: 40px;
  height: var(--button);
  margin: 0 8px;
  appearance: none;
  background: none;
  cursor: pointer;
}
input[type="range"]::-webkit-slider-runnable-track {
  height: 3px;
  border-radius: 2px;
  background: var(--track);
}
input[type="range"]::-moz-range-track {
  height: 3px;
  border-radius: 2px;
  background: var(--track);
}
input[type="range"]::-webkit-slider-thumb {
  appearance: none;
  width: 13px;
  height: 13px;
  margin-top: -5px;
  border-radius: 50%;
  background: #e8eaf0;
}
input[type="range"]::-moz-range-thumb {
  width: 13px;
  height: 13px;
  border: 0;
  border-radius: 50%;
  background: #e8eaf0;
}
.reading {
  flex: none;
  min-width: 92px;
  text-align: right;
  white-space: nowrap;
  font-variant-numeric: tabular-nums;
}
.reading div { color: var(--muted); font-size: 11px; }
.backgrounds { gap: 8px; padding: 0 4px; }
.backgrounds button, .backgrounds input {
  box-sizing: border-box;
  width: 16px;
  min-width: 16px;
  height: 16px;
  padding: 0;
  border: 1px solid #4a4d57;
  border-radius: 50%;
  overflow: hidden;
  cursor: pointer;
}
.backgrounds .checker { background: repeating-conic-gradient(#5b5e68 0 25%, #2b2d33 0 50%) 0 0 / 8px 8px; }
.backgrounds .white { background: #fff; }
.backgrounds .black { background: #000; }
.backgrounds input { appearance: none; background: none; }
.backgrounds input::-webkit-color-swatch-wrapper { padding: 0; }
.backgrounds input::-webkit-color-swatch { border: 0; }
.backgrounds input::-moz-color-swatch { border: 0; }
.backgrounds [aria-pressed="true"] { box-shadow: 0 0 0 2px var(--surface), 0 0 0 3.5px var(--accent); }
.backgrounds :focus-visible { outline: 2px solid #fff; outline-offset: 2px; }
.single-frame :is(.steps, .play, .transport input, .pace) { display: none; }
.dock[inert] { opacity: 0.35; }
@container (max-width: 460px) {
  .dock { --button: 26px; padding: 3px 4px; }
  .tools { gap: 2px; }
  select { padding: 0 14px 0 2px; }
  .backgrounds { gap: 4px; }
  .views button { min-width: 17px; }
  .steps { display: none; }
}
@media (pointer: coarse) {
  :host, .dock { --button: 44px; } /* pixels: the target size of WCAG 2.2, level AAA */
  button, select, input { touch-action: manipulation; } /* no zoom of the page by double taps */
  .group, .tools, .transport { flex-wrap: wrap; gap: 2px; }
  .views button { min-width: 44px; }
  .backgrounds { gap: 0; padding: 0; }
  .backgrounds :is(button, input) {
    width: 44px;
    min-width: 44px;
    height: 44px;
    border: 10px solid var(--surface);
    border-radius: 22px;
  }
  .backgrounds [aria-pressed="true"] { box-shadow: inset 0 0 0 2.5px var(--accent); }
  input[type="range"] { touch-action: none; }
  .row input[type="checkbox"] { width: 28px; height: 28px; margin: 8px; }
  .row input[type="range"] { flex-basis: 140px; }
}
@media (prefers-reduced-motion: reduce) {
  button, select { transition: none; }
}
`;

/** @type {CSSStyleSheet | null} */
let sheet = null;

/**
 * Apply the style sheet to a shadow root; all roots share one.
 * @param {ShadowRoot} root
 */
export function applyStyles(root) {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS + PANEL_CSS);
  }
  root.adoptedStyleSheets = [sheet];
}
