// The style rules of what lies over the image: panels, help, comparison.

export const PANEL_CSS = `
[hidden] { display: none !important; }
.dock { position: relative; }
.panel, .help, .recording {
  position: absolute;
  right: 8px;
  bottom: calc(100% + 8px);
  z-index: 1;
  box-sizing: border-box;
  max-width: calc(100% - 16px);
  padding: 8px 10px;
  overflow: auto;
  border: 1px solid var(--line);
  border-radius: 8px;
  background: #1b1c21f5;
  box-shadow: 0 6px 24px #0008;
  color: var(--text);
  outline: none;
}
.panel > button {
  display: block;
  width: 100%;
  padding: 0 10px;
  text-align: left;
}
.row {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 2px 6px;
  min-height: calc(var(--button) + 3px);
}
.row .name { flex: 1 0 104px; color: var(--muted); }
.row button, .row select { padding: 0 8px; border: 1px solid var(--line); text-align: center; }
.row select { appearance: auto; }
label.row { cursor: pointer; }
.row button:disabled { opacity: 0.4; cursor: default; }
.row.wide { gap: 6px; margin-top: 6px; }
.row.wide button { flex: 1; }
.row input[type="range"] { flex: 0 1 110px; margin: 0 4px; }
.row input[type="number"] {
  box-sizing: border-box;
  width: 56px;
  height: var(--button);
  padding: 0 6px;
  border: 1px solid var(--line);
  border-radius: 6px;
  background: none;
  color: var(--text);
  font: inherit;
}
.row input[type="checkbox"] { width: 18px; height: 18px; margin: 0; accent-color: var(--accent); }
.row .value { width: 38px; text-align: right; font-variant-numeric: tabular-nums; }
.error:empty { display: none; }
.error { max-width: 260px; color: #ff9592; }
.help, .recording {
  inset: 8px;
  width: fit-content;
  height: fit-content;
  max-height: calc(100% - 16px);
  margin: auto;
}
.help h2 { margin: 0 0 6px; font-size: 13px; }
.help dl { display: grid; grid-template-columns: auto 1fr; gap: 3px 14px; margin: 0 0 8px; }
.help dt { color: var(--text); font-weight: 600; white-space: nowrap; }
.help dd { margin: 0; color: var(--muted); }
.recording p { margin: 0 0 6px; }
.recording progress { display: block; width: 160px; margin-bottom: 8px; accent-color: var(--accent); }
:is(.help, .recording) button { padding: 0 12px; border: 1px solid var(--line); }
.comparison { position: absolute; inset: 0; pointer-events: none; overflow: hidden; }
.message:not(:empty) + .comparison { display: none; }
.comparison span {
  position: absolute;
  top: 8px;
  left: 8px;
  padding: 1px 7px;
  border-radius: 6px;
  background: #16171bb0;
}
.comparison span + span { left: auto; right: 8px; }
.divider {
  position: absolute;
  top: 0;
  bottom: 0;
  width: 44px;
  margin-left: -22px;
  outline: none;
  cursor: ew-resize;
  pointer-events: auto;
  touch-action: none;
  background: linear-gradient(#fff, #fff) center / 2px 100% no-repeat;
}
.divider::after {
  content: "";
  position: absolute;
  top: calc(50% - 14px);
  left: calc(50% - 6px);
  width: 12px;
  height: 28px;
  border-radius: 6px;
  background: #fff;
  box-shadow: 0 0 4px #0008;
}
.divider:focus-visible::after { outline: 2px solid var(--accent); outline-offset: 2px; }
`;
