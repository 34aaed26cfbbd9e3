"use strict";
{
  const root = document.getElementById("browse");
  const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  const { identities, images, arms, palette, sheet } = data;
  const SIDE = 64, BATCH = 20, REACH = 24, NAMED = 60;
  // Shapes have about the same area; colours and shapes repeat after 48 identities.
  const SHAPES = ["M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0z", "M-.9-.9H.9V.9H-.9z", "M0-1.2 1.15.8H-1.15z", "M0-1.25 1.25 0 0 1.25-1.25 0z",
    "M0 1.2-1.15-.8H1.15z", "M-1.2-.4H-.4V-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2z",
    "M-1.15-.6-.6-1.15 0-.55.6-1.15 1.15-.6.55 0 1.15.6.6 1.15 0 .55-.6 1.15-1.15.6-.55 0z", "M-1.3-.35H1.3V.35H-1.3z"];
  const find = selector => root.querySelector(selector);
  const filters = Object.fromEntries([...root.querySelectorAll("select")].map(box => [box.dataset.filter, box]));
  const count = find(".count"), map = find(".map svg"), tip = find(".tip"), list = find(".queries"), more = find("[data-action=more]");
  const number = (value, digits) => value === null ? "\u2013" : value.toFixed(digits).replace("-", "\u2212");
  const name = image => identities[images[image][1]] ?? "no identity";
  let only = null, current = null, tapped = null, shown = [], drawn = 0, signs = [];

  function element(tag, className, ...content) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...content);
    return made;
  }
  function vector(tag, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }
  // The thumbnail of an image; a border lies over its edge.
  function thumbnail(image, side = SIDE, border = 0) {
    const made = element("span", "thumb"), column = image % sheet.columns, row = Math.floor(image / sheet.columns);
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", `${name(image)}, ${images[image][0]}`);
    made.title = images[image][0];
    made.style.width = made.style.height = `${side}px`;
    made.style.backgroundSize = `${sheet.columns * side}px auto`;
    made.style.backgroundPosition = `${-column * side - border}px ${-row * side - border}px`;
    return made;
  }
  const colour = identity => identity < 0 ? "gray" : palette[identity % palette.length];
  const shape = identity => SHAPES[Math.floor(Math.max(identity, 0) / palette.length) % SHAPES.length];
  const run = () => arms[filters.arm.value];
  const same = (one, other) => images[one][1] >= 0 && images[one][1] === images[other][1];
  const outcome = ([image, ap, found]) => ap === null ? "none" : found.length && same(image, found[0][0]) ? "right" : "wrong";
  const key = image => `${name(image)}\n${images[image][0]}`;
  const ORDERS = {
    low: (a, b) => (a[1] ?? 2) - (b[1] ?? 2) || a[0] - b[0],
    high: (a, b) => (b[1] ?? -1) - (a[1] ?? -1) || a[0] - b[0],
    name: (a, b) => key(a[0]).localeCompare(key(b[0]), "en", { numeric: true }),
  };

  function queryItem(query) {
    const [image, ap, found] = query;
    const words = element("div", "", element("b", "", name(image)), element("br"),
      ap === null ? "no match in the gallery" : `AP ${number(ap, 2)}, first ${outcome(query)}`, element("br"), element("span", "file", images[image][0]));
    const candidates = found.map(([candidate, similarity]) => {
      const right = same(image, candidate);
      return element("li", right ? "right" : "wrong", thumbnail(candidate, SIDE, 3),
        element("b", "", right ? "\u2713" : "\u2717"), ` ${name(candidate)} ${number(similarity, 2)}`);
    });
    return element("li", "query", element("div", "sought", thumbnail(image), words), element("ol", "found", ...candidates));
  }
  function showMore() {
    list.append(...shown.slice(drawn, drawn + BATCH).map(queryItem));
    drawn = Math.min(drawn + BATCH, shown.length);
    more.hidden = drawn === shown.length;
    more.textContent = `Show ${Math.min(BATCH, shown.length - drawn)} more of ${shown.length - drawn}`;
  }
  function update() {
    const wanted = filters.identity.value, kind = filters.outcome.value;
    const own = run().queries.some(query => query[0] === only);
    const chosen = query => only === null || (own ? query[0] === only : query[2].some(found => found[0] === only));
    shown = run().queries.filter(query => (wanted === "" || images[query[0]][1] === Number(wanted))
      && (kind === "" || outcome(query) === kind) && chosen(query)).sort(ORDERS[filters.order.value]);
    count.textContent = `${shown.length} of ${run().queries.length} queries`
      + (only === null ? "" : own ? `: ${images[only][0]}` : ` with ${images[only][0]} among their candidates`);
    list.replaceChildren();
    drawn = 0;
    showMore();
    const kept = new Set(shown.map(query => query[0]));
    if (only !== null) kept.add(only);
    const all = wanted === "" && kind === "" && only === null;
    signs.forEach((sign, image) => sign?.classList.toggle("faded", !all && !kept.has(image)));
  }

  function draw() {
    const size = Math.max(0.018, 10 / map.clientWidth);
    signs = run().points.map((point, image) => point && vector("path", {
      d: shape(images[image][1]), fill: colour(images[image][1]), transform: `translate(${point[0]} ${-point[1]}) scale(${size})`,
    }));
    map.replaceChildren(...signs.filter(Boolean));
    point(null);
  }
  function legend() {
    if (identities.length > NAMED) return;
    find(".legend").replaceChildren(...identities.map((who, identity) => {
      const sign = vector("svg", { viewBox: "-1.4 -1.4 2.8 2.8", "aria-hidden": "true" });
      sign.append(vector("path", { d: shape(identity), fill: colour(identity) }));
      return element("span", "", sign, who);
    }));
  }
  function point(image) {
    signs[current]?.classList.remove("current");
    current = image;
    tip.hidden = image === null;
    if (image === null) return;
    signs[image].classList.add("current");
    map.append(signs[image]);
    const query = run().queries.find(found => found[0] === image);
    const words = element("div", "", element("b", "", name(image)), element("br"), ...(query ? [`AP ${number(query[1], 2)}`, element("br")] : []),
      element("span", "file", images[image][0]));
    tip.replaceChildren(thumbnail(image, 96), words);
    const [x, y] = run().points[image], side = map.clientWidth, left = (x + 1.06) / 2.12 * side, top = (1.06 - y) / 2.12 * side;
    tip.style.left = `${Math.max(0, Math.min(side - tip.offsetWidth, left - tip.offsetWidth / 2))}px`;
    tip.style.top = `${top > side / 2 ? top - tip.offsetHeight - 14 : top + 14}px`;
  }
  // Where an image is on the screen, relative to the map.
  const place = image => run().points[image].map((value, axis) => (axis ? 1.06 - value : value + 1.06) / 2.12 * map.clientWidth);
  function nearest(cost) {
    let best = null, least = Infinity;
    signs.forEach((sign, image) => {
      const value = sign ? cost(...place(image), image) : Infinity;
      if (value < least) [best, least] = [image, value];
    });
    return best;
  }
  function under(event) {
    const box = map.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    return nearest((a, b) => { const far = Math.hypot(a - x, b - y); return far <= REACH ? far : Infinity; });
  }
  function choose(image) {
    only = image;
    filters.identity.value = filters.outcome.value = "";
    update();
  }
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  map.addEventListener("pointermove", event => point(under(event)));
  map.addEventListener("pointerleave", () => { if (document.activeElement !== map) point(null); });
  map.addEventListener("blur", () => point(null));
  map.addEventListener("click", event => {
    const image = under(event);
    // A finger cannot point: its first tap shows the image, the next one the query.
    const first = event.pointerType === "touch" && image !== tapped;
    tapped = image;
    if (image === null) return point(null);
    if (!first) choose(image);
    point(image);
    if (!first) list.scrollIntoView({ block: "nearest" });
  });
  map.addEventListener("keydown", event => {
    if (event.key === "Enter" && current !== null) choose(current);
    else if (event.key === "Escape") { point(null); choose(null); }
    else if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key], middle = map.clientWidth / 2;
      const [x, y] = current === null ? [middle, middle] : place(current);
      // Ahead counts once, aside twice; what is behind is out.
      const next = nearest((a, b, image) => {
        const ahead = (a - x) * dx + (b - y) * dy, aside = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
        if (current === null) return Math.hypot(a - x, b - y);
        return image !== current && ahead > 0 && aside <= 2 * ahead ? ahead + 2 * aside : Infinity;
      });
      if (next !== null) point(next);
    } else return;
    event.preventDefault();
  });
  for (const [kind, box] of Object.entries(filters)) {
    box.addEventListener("change", () => {
      if (kind === "arm") draw();
      if (kind === "identity" || kind === "outcome") only = null;
      update();
    });
  }
  find("[data-action=reset]").addEventListener("click", () => choose(null));
  more.addEventListener("click", () => {
    const next = list.children.length;
    showMore();
    list.children[next].tabIndex = -1;
    list.children[next].focus();
  });
  filters.arm.append(...arms.map((made, place) => new Option(made.arm, place)));
  filters.identity.append(...identities.map((who, place) => new Option(who, place)));
  // Nothing is drawn before it is unfolded.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some(entry => entry.isIntersecting)) return;
    observer.disconnect();
    legend();
    draw();
    update();
  }, { rootMargin: "10000px" }).observe(count);
}
