"use strict";
{
  const root = document.getElementById("review");
  const { key, file: download, columns, images, pairs, sheet } = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  const ANSWERS = ["same", "different", "unsure"];
  const find = selector => root.querySelector(selector);
  const count = find(".count"), warning = find(".warning"), question = find("#question");
  const photos = [...root.querySelectorAll(".photo")], captions = [...root.querySelectorAll("figcaption")];
  const buttons = [...root.querySelectorAll("[data-answer]")];
  // Answers are kept by the names of the images: a page that is made again has other numbers.
  const name = pair => JSON.stringify([images[pair[0]][0], images[pair[1]][0]]);
  const names = pairs.map(name);
  const visible = text => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\ufffd");
  let answers = {}, place = 0, kept = true;

  function load() {
    try {
      const found = JSON.parse(localStorage.getItem(key) ?? "{}");
      answers = Object.fromEntries(Object.entries(found ?? {}).filter(([, answer]) => ANSWERS.includes(answer)));
    } catch { keep(); }
  }
  function keep() {
    try {
      localStorage.setItem(key, JSON.stringify(answers));
    } catch { kept = false; }
    warning.hidden = kept;
  }
  // Numbers of the pairs that are shown, in their order: a further pair only after the one before it was called different.
  function shown() {
    const found = new Set();
    pairs.forEach(([, , after], number) => {
      if (after === null || found.has(after) && answers[names[after]] === "different") found.add(number);
    });
    return [...found];
  }
  const given = list => list.filter(number => names[number] in answers);

  function picture(side, image) {
    const column = image % sheet.columns, row = Math.floor(image / sheet.columns), [file, label] = images[image];
    const rows = Math.ceil(images.length / sheet.columns), share = (at, of) => of > 1 ? `${100 * at / (of - 1)}%` : "0";
    photos[side].style.backgroundSize = `${sheet.columns * 100}% ${rows * 100}%`;
    photos[side].style.backgroundPosition = `${share(column, sheet.columns)} ${share(row, rows)}`;
    photos[side].setAttribute("aria-label", `${side ? "Compared with" : "In question"}: labelled ${visible(label)}, ${visible(file)}`);
    const strong = document.createElement("b"), small = document.createElement("span");
    strong.textContent = visible(label);
    small.textContent = visible(file);
    small.className = "file";
    captions[side].replaceChildren(strong, document.createElement("br"), small);
  }
  function update() {
    const list = shown(), done = given(list);
    place = Math.max(0, Math.min(place, list.length - 1));
    const [image, other] = pairs[list[place]], answer = answers[names[list[place]]];
    picture(0, image);
    picture(1, other);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.answer === answer));
    const different = done.filter(number => answers[names[number]] === "different").length;
    count.textContent = `Pair ${place + 1} of ${list.length}. ${done.length} answered, ${different} different.`
      + (done.length === list.length ? " All are answered: save the CSV." : "");
    const whose = images[image][1] === images[other][1] ? "" : " The labels say that they do not.";
    question.textContent = `Do both photographs show the same individual?${whose}`;
    find("[data-action=back]").disabled = place === 0;
    find("[data-action=next]").disabled = place === list.length - 1;
    find("[data-action=save]").disabled = done.length === 0;
  }
  function reply(answer) {
    answers[names[shown()[place]]] = answer;
    keep();
    place += 1;
    update();
  }
  function move(step) {
    place += step;
    update();
  }
  function csv() {
    const quoted = value => /[",;\t\r\n|]|^\s|\s$/.test(value) ? `"${value.replaceAll("\"", "\"\"")}"` : value;
    const rows = given(shown()).map(number => {
      const [[image, label], [other, otherLabel]] = pairs[number].slice(0, 2).map(each => images[each]);
      return [image, other, answers[names[number]], label, otherLabel];
    });
    return [columns, ...rows].map(row => `${row.map(quoted).join(",")}\r\n`).join("");
  }
  function save() {
    const link = document.createElement("a");
    // The mark at the front has spreadsheets read UTF-8.
    link.href = URL.createObjectURL(new Blob(["\ufeff", csv()], { type: "text/csv" }));
    link.download = download;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  function clear() {
    if (!confirm("Forget all answers on this page?")) return;
    answers = {};
    place = 0;
    keep();
    update();
  }
  const ACTIONS = { back: () => move(-1), next: () => move(1), save, clear };
  for (const button of buttons) button.addEventListener("click", () => reply(button.dataset.answer));
  for (const [action, act] of Object.entries(ACTIONS)) find(`[data-action=${action}]`).addEventListener("click", act);
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    const answer = ANSWERS[Number(event.key) - 1];
    if (answer) reply(answer);
    else if (event.key === "ArrowLeft") move(-1);
    else if (event.key === "ArrowRight") move(1);
    else return;
    event.preventDefault();
  });
  load();
  const first = shown().findIndex(number => !(names[number] in answers));
  place = first < 0 ? shown().length - 1 : first;
  update();
}
