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

const folds = () => [...document.querySelectorAll("main details")];
const unfold = () => {
  const target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
  for (let place = target; place; place = place.parentElement) if (place.localName === "details") place.open = true;
  target?.scrollIntoView();
};
addEventListener("hashchange", unfold);
document.addEventListener("click", event => {
  const link = event.target.closest("a[href^='#']");
  if (link && link.hash === location.hash) setTimeout(unfold);
});
unfold();

const button = document.getElementById("unfold");
if (button) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = folds().some(part => !part.open);
    folds().forEach(part => { part.open = open; });
    button.textContent = open ? "Fold all" : "Unfold all";
  });
}
let closed = [];
addEventListener("beforeprint", () => { closed = folds().filter(part => !part.open); closed.forEach(part => { part.open = true; }); });
addEventListener("afterprint", () => { closed.forEach(part => { part.open = false; }); });

const meaning = document.getElementById("meaning");
if (meaning) {
  const hide = () => { meaning.hidden = true; };
  document.addEventListener("focusin", event => {
    const head = event.target.closest("thead button[title]");
    if (!head) return hide();
    meaning.textContent = head.title;
    meaning.hidden = false;
    const box = head.getBoundingClientRect(), edge = document.documentElement.clientWidth - meaning.offsetWidth - 8;
    meaning.style.left = `${Math.max(8, Math.min(box.left, edge))}px`;
    meaning.style.top = `${box.bottom + 4}px`;
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", hide, { passive: true });
}
