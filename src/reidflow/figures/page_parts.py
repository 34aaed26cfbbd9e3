"""Style and script of an experiment's page."""

from reidflow.figures.style import BLUE, VERMILLION

STYLE = f"""
:root {{ color-scheme: light dark; --ink: #1a1a1a; --muted: #595959; --rule: #dcdcdc; --mark: #f2f2f2; --paper: #fff;
  --better: {BLUE}; --worse: {VERMILLION} }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #eee; --muted: #aaa; --rule: #444; --mark: #2a2a2a;
  --paper: #181818; --better: #6bb8ea; --worse: #ff9a5c }} }}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }}
main {{ max-width: 66rem; margin: 0 auto; padding: 1.5rem }}
h1 {{ font-size: 1.5rem; line-height: 1.25; margin: 0 }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem }}
h3 {{ font-size: 1rem; margin: 1.5rem 0 .5rem }}
header p, figcaption, dd {{ color: var(--muted) }}
a {{ color: var(--better) }}
p, li, dd, h1, h2, h3 {{ overflow-wrap: anywhere }}
.wide {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .5rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top }}
td {{ white-space: nowrap }}
tbody th {{ font-weight: normal; min-width: 7rem; max-width: 22rem; overflow-wrap: break-word }}
.baseline > * {{ background: var(--mark); font-weight: bold }}
.better {{ color: var(--better) }}
.worse {{ color: var(--worse) }}
.inconclusive {{ color: var(--muted) }}
thead th {{ padding: 0; vertical-align: bottom }}
thead button {{ all: unset; cursor: pointer; padding: .25rem .5rem; font-weight: bold; white-space: nowrap }}
thead button:focus-visible {{ outline: 2px solid var(--better) }}
thead button::after {{ content: "\\2195"; opacity: .3; padding-left: .3em }}
[aria-sort=ascending] button::after {{ content: "\\2191"; opacity: 1 }}
[aria-sort=descending] button::after {{ content: "\\2193"; opacity: 1 }}
figure {{ margin: 2rem 0; scroll-margin-top: 1rem; overflow-x: auto }}
figure img {{ width: 100%; background: #fff; border-radius: 4px }}
dt {{ font-weight: bold; margin-top: .4rem }}
dd {{ margin: 0 }}
@media screen and (max-width: 45rem) {{
  main {{ padding: 1rem }}
  figure img {{ width: 45rem; max-width: none }}
  figcaption {{ position: sticky; left: 0; max-width: calc(100vw - 2rem) }}
  tbody th {{ max-width: 11rem }}
}}
@media print {{
  :root {{ --ink: #000; --muted: #444; --rule: #bbb; --mark: #eee; --paper: #fff; --better: {BLUE};
    --worse: {VERMILLION} }}
  body {{ font-size: 10pt }}
  main {{ max-width: none; padding: 0 }}
  .wide, figure {{ overflow: visible }}
  table {{ font-size: 7.5pt }}
  th, td, thead button {{ padding: .15rem .3rem }}
  td {{ white-space: normal }}
  tbody th {{ min-width: 0; max-width: 9rem }}
  thead button {{ white-space: normal; overflow-wrap: anywhere }}
  thead button::after {{ content: none }}
  tr, figure {{ break-inside: avoid }}
  h2, h3 {{ break-after: avoid }}
}}
"""

SCRIPT = """
"use strict";
const NUMBER = /^[[<+-]*\\d[\\d,]*\\.?\\d*(e[+-]?\\d+)?/i;
const plain = cell => cell.textContent.trim().replaceAll("\\u2212", "-");
const missing = text => text === "" || text === "\\u2013";
const number = text => parseFloat(text.replace(/^[[<+]+/, "").replaceAll(",", ""));
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], original = [...body.rows], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const texts = new Map(original.map(row => [row, plain(row.cells[column])]));
    const numeric = column > 0 && [...texts.values()].every(text => missing(text) || NUMBER.test(text));
    const order = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
    const next = order[order.indexOf(head.ariaSort) + 1] ?? null;
    heads.forEach(other => { other.ariaSort = null; });
    head.ariaSort = next;
    const sign = next === "descending" ? -1 : 1;
    const compare = (a, b) => {
      const x = texts.get(a), y = texts.get(b);
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return sign * (numeric ? number(x) - number(y) : x.localeCompare(y, "en", { numeric: true }));
    };
    body.append(...(next ? [...original].sort(compare) : original));
  }));
}
"""
