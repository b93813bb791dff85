"""The style sheet of ``report.html``, for light and dark screens."""

from __future__ import annotations

from .fit_curves import NUM_COLORS

_COLORS = (
    "#3b82d0",
    "#d9722e",
    "#2f9e62",
    "#c2463f",
    "#8a63c9",
    "#9a6b4f",
    "#d264a3",
    "#7d8590",
    "#a8a012",
    "#1fa3b5",
)
_LINES = "\n".join(
    f".line{index} {{ stroke: {color}; }} .swatch{index} {{ background: {color}; }}"
    for index, color in enumerate(_COLORS[:NUM_COLORS])
)

STYLE = (
    """
:root { color-scheme: light dark; --back: #fff; --text: #1d2126; --soft: #5c6670; --rule: #d9dee3;
  --box: #f5f7f9; --bar: #3b82d0; --bad: #b3261e; --bad-box: #fdeeec; }
@media (prefers-color-scheme: dark) {
  :root { --back: #16181c; --text: #e4e7ea; --soft: #9aa4ae; --rule: #343a41; --box: #1f2328; --bar: #5c9ee6;
    --bad: #ff8a80; --bad-box: #3a2020; }
}
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 24px 20px 48px; }
h1 { margin: 0 0 12px; font-size: 24px; }
h2 { margin: 32px 0 4px; font-size: 18px; }
h3 { margin: 0 0 6px; font-size: 15px; font-weight: 600; }
small { color: var(--soft); font-weight: 400; }
p { margin: 4px 0 12px; color: var(--soft); }
a { color: inherit; }
.warnings { margin: 0 0 16px; padding: 10px 16px 10px 32px;
  border-left: 4px solid var(--bad); background: var(--bad-box); }
.summary { display: flex; flex-wrap: wrap; gap: 10px 28px; margin: 0; padding: 12px 16px;
  background: var(--box); }
.summary dt { color: var(--soft); font-size: 12px; }
.summary dd { margin: 0; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); gap: 20px; }
.chart h3 { margin-top: 8px; }
.chart svg { display: block; width: 100%; height: auto; }
.grid { stroke: var(--rule); stroke-width: 1; }
.label { fill: var(--soft); font-size: 12px; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.faint { stroke-width: 1; opacity: 0.3; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 4px 0 0; padding: 0; list-style: none;
  color: var(--soft); font-size: 13px; }
.swatch { display: inline-block; width: 12px; height: 3px; margin-right: 5px; vertical-align: middle; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 14px 3px 0; text-align: right; border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-size: 12px; font-weight: 400; }
th:first-child, td:first-child { text-align: left; }
.bar { display: block; width: 160px; height: 8px; background: var(--box); fill: var(--bar); }
.far td, .far h3 { color: var(--bad); }
.far .bar { fill: var(--bad); }
section { padding: 14px 0; border-top: 1px solid var(--rule); }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); gap: 12px; }
figure { margin: 0; }
figure img { display: block; box-sizing: border-box; width: 100%; height: auto;
  border: 1px solid var(--rule); }
figcaption { color: var(--soft); font-size: 12px; }
details { margin-top: 32px; }
pre { padding: 12px 16px; overflow: auto; background: var(--box); font-size: 12px; line-height: 1.4; }
"""
    + _LINES
    + "\n"
)
