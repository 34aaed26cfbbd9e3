"use strict";
const NUMBER = /^[[<+-]*\d[\d,]*\.?\d*(e[+-]?\d+)?/i;
const plain = cell => cell.textContent.trim().replaceAll("\u2212", "-");
const missing = text => text === "" || text === "\u2013";
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
