"use strict";
const written = Number(document.body.dataset.written), silent = document.querySelector("#silent");
if (silent && Date.now() / 1000 - written > 180) {
  silent.hidden = false;
  silent.querySelector("time").textContent = new Date(written * 1000).toLocaleString();
}
