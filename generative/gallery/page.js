"use strict";
const at = id => document.getElementById(id);
const list = at("samples"), options = [...list.querySelectorAll("[role=option]")];
const samples = options.filter(option => !option.classList.contains("real"));
const reals = options.filter(option => option.classList.contains("real"));
let visible = samples, current = options[0];

// The detail panel and the enlarged picture: what is chosen.

function tell(terms, option) {
  terms.replaceChildren();
  for (const [name, value] of JSON.parse(option.dataset.facts)) {
    const term = document.createElement("dt"), detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = value;
    terms.append(term, detail);
  }
}

function show(prefix, option) {
  const picture = option.querySelector("img"), near = option.dataset.nearest;
  at(prefix + "chosen").src = picture.src;
  at(prefix + "chosen").alt = picture.alt;
  at(prefix + "near").hidden = !near;
  at(prefix + "nearest").src = near || "data:,";
  at(prefix + "nearest").alt = near ? "Nearest training example, " + option.dataset.distance : "";
  tell(at(prefix + "facts"), option);
}

function kind(option) {
  return option.classList.contains("real") ? "real example" : "sample";
}

function choose(option, focus) {
  current = option;
  for (const other of options) {
    other.setAttribute("aria-selected", String(other === option));
    other.tabIndex = other === option ? 0 : -1;
  }
  show("", option);
  at("chosen-kind").textContent = kind(option);
  if (at("large").open) fill();
  if (focus) option.focus();
  draw();
}

function fill() {
  show("large-", current);
  at("large-kind").textContent = kind(current);
  at("large-title").textContent = JSON.parse(current.dataset.facts)[0].join(" ");
  at("before").disabled = visible.indexOf(current) <= 0;
  at("after").disabled = visible.indexOf(current) >= visible.length - 1;
}

function enlarge(option) {
  choose(option, false);
  fill();
  if (!at("large").open) at("large").showModal();
}

function go(step) {
  const to = visible.indexOf(current) + step;
  if (to >= 0 && to < visible.length) choose(visible[to], !at("large").open);
}

function columns() {
  const top = visible[0].offsetTop;
  const below = visible.findIndex(option => option.offsetTop > top);
  return below < 0 ? visible.length : below;
}

list.addEventListener("click", event => {
  const option = event.target.closest("[role=option]");
  if (option) enlarge(option);
});
list.addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey || !visible.length) return;
  const index = visible.indexOf(current);
  const step = {
    ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns(),
    Home: -index, End: visible.length - 1 - index,
  }[event.key];
  if (step !== undefined) go(step);
  else if (event.key === "Enter" || event.key === " ") enlarge(current);
  else return;
  event.preventDefault();
});
at("large").addEventListener("keydown", event => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  go(step);
});
at("large").addEventListener("click", event => {
  if (event.target === at("large")) at("large").close();
});
at("large").addEventListener("close", () => current.focus());
at("before").addEventListener("click", () => go(-1));
at("after").addEventListener("click", () => go(1));
at("close").addEventListener("click", () => at("large").close());

// Filters: by origin, label, verdict and words.

const filters = ["by-label", "by-verdict", "contains"].map(at).filter(Boolean);
const origins = [...document.querySelectorAll("input[name=origin]")];

function origin() {
  const chosen = origins.find(radio => radio.checked);
  return chosen ? chosen.value : "samples";
}

function passes(option) {
  const value = id => (at(id) ? at(id).value : "");
  if (value("by-label") && option.dataset.label !== value("by-label")) return false;
  if (value("by-verdict") && option.dataset.verdict !== value("by-verdict")) return false;
  const words = value("contains").trim().toLowerCase().split(/\s+/);
  const facts = option.dataset.facts.toLowerCase();
  return words.every(word => facts.includes(word));
}

function filter() {
  const which = origin(), ordered = [];
  for (let i = 0; i < Math.max(samples.length, reals.length); i++) {
    if (which !== "real" && samples[i]) ordered.push(samples[i]);
    if (which !== "samples" && reals[i]) ordered.push(reals[i]);
  }
  visible = ordered.filter(passes);
  list.append(...ordered);
  for (const option of options) option.hidden = !visible.includes(option);
  const some = visible.length < ordered.length;
  if (at("count")) at("count").textContent = some ? visible.length + " of " + ordered.length + " shown" : "";
  at("none").hidden = visible.length > 0;
  if (visible.length && !visible.includes(current)) choose(visible[0], false);
  draw();
}

for (const control of [...filters, ...origins]) control.addEventListener("input", filter);
at("clear").addEventListener("click", () => {
  for (const control of filters) control.value = "";
  filter();
});

// The map: pictures at their principal components; dragged, zoomed, clicked.

const map = at("map"), placed = options.filter(option => option.dataset.place);
const places = new Map(placed.map(option => [option, option.dataset.place.split(" ").map(Number)]));
const style = getComputedStyle(document.documentElement);
const colour = name => style.getPropertyValue("--" + name).trim();
const series = colour("series").split(" ");
const labels = [...new Set(placed.map(option => option.dataset.label).filter(Boolean))].sort();
let view = { x: 0, y: 0, zoom: 1 }, pointed = null;

function groups() {
  const by = at("map-colour") ? at("map-colour").value : "";
  const verdicts = at("by-verdict") ? [...at("by-verdict").options].map(option => option.text) : [];
  if (by === "label") return labels.map((label, i) => [label.replaceAll("_", " "), series[i % series.length], o => o.dataset.label === label]);
  if (by === "verdict") return [
    [verdicts[1], colour("yes"), o => o.dataset.verdict === "yes"],
    [verdicts[2], colour("no"), o => o.dataset.verdict === "no"],
    ["real", colour("muted"), o => o.classList.contains("real")],
  ];
  return [
    ["sample", colour("accent"), o => !o.classList.contains("real")],
    ["real", series[1], o => o.classList.contains("real")],
  ].filter(group => placed.some(group[2]));
}

const spans = [0, 1, 2].map(k => Math.max(...placed.map(option => Math.abs(places.get(option)[k]))) || 1);

function spot(option) {
  const [i, j] = at("map-axes").value, place = places.get(option), span = Math.max(spans[i], spans[j]);
  const half = Math.min(map.clientWidth, map.clientHeight) / 2 - 32, across = map.clientWidth / 2 - 32;
  return [
    map.clientWidth / 2 + (place[i] / span * across - view.x) * view.zoom,
    map.clientHeight / 2 - (place[j] / span * half - view.y) * view.zoom,
  ];
}

function side() {
  const crowd = Math.sqrt(map.clientWidth * map.clientHeight / placed.length) / 3;
  return Math.max(14, Math.min(40, crowd)) * Math.sqrt(view.zoom);
}

function draw() {
  if (!map) return;
  const ratio = window.devicePixelRatio || 1, brush = map.getContext("2d");
  map.width = map.clientWidth * ratio;
  map.height = map.clientHeight * ratio;
  brush.scale(ratio, ratio);
  const sorts = groups(), pictures = at("map-pictures").checked;
  const last = [pointed, current].filter(option => places.has(option));
  for (const option of [...placed.filter(passes), ...last]) {
    const [x, y] = spot(option), image = option.querySelector("img");
    const sort = sorts.find(group => group[2](option));
    const strong = last.includes(option);
    brush.fillStyle = brush.strokeStyle = option === current ? colour("text") : sort ? sort[1] : colour("muted");
    brush.lineWidth = strong ? 3 : 2;
    if (pictures && image.naturalWidth) {
      const wide = side() * (strong ? 1.5 : 1), high = wide * image.naturalHeight / image.naturalWidth;
      brush.imageSmoothingEnabled = image.naturalWidth > wide * ratio;  // pixels of an enlarged one stay sharp
      brush.drawImage(image, x - wide / 2, y - high / 2, wide, high);
      brush.strokeRect(x - wide / 2, y - high / 2, wide, high);
    } else {
      brush.beginPath();
      brush.arc(x, y, strong ? 7 : 4, 0, 7);
      brush.fill();
    }
  }
  brush.fillStyle = colour("muted");
  brush.font = "12px system-ui, sans-serif";
  const [i, j] = at("map-axes").value;
  brush.fillText("PC " + (+i + 1) + " →", map.clientWidth - 48, map.clientHeight - 10);
  brush.fillText("↑ PC " + (+j + 1), 10, 18);
}

function legend() {
  const keys = groups().map(([name, paint]) => {
    const key = document.createElement("span"), box = document.createElement("i");
    key.className = "key";
    box.style.background = paint;
    key.append(box, name);
    return key;
  });
  at("map-legend").replaceChildren(...keys);
  draw();
}

function found(event) {
  const box = map.getBoundingClientRect();
  let best = null, least = Math.max(10, side() / 2) ** 2 * 2;
  for (const option of placed.filter(passes)) {
    const [x, y] = spot(option);
    const far = (x - event.clientX + box.left) ** 2 + (y - event.clientY + box.top) ** 2;
    if (far <= least) [best, least] = [option, far];
  }
  return best;
}

function zoom(factor) {
  view.zoom = Math.max(1, Math.min(24, view.zoom * factor));
  if (view.zoom === 1) view.x = view.y = 0;
  map.style.touchAction = view.zoom > 1 ? "none" : "pan-y";
  draw();
}

if (map) {
  let start = null;
  map.addEventListener("pointerdown", event => {
    start = { x: event.clientX, y: event.clientY, view: { ...view }, moved: false };
    map.setPointerCapture(event.pointerId);
  });
  map.addEventListener("pointermove", event => {
    if (start) {
      const dx = event.clientX - start.x, dy = event.clientY - start.y;
      start.moved = start.moved || Math.hypot(dx, dy) > 4;
      if (view.zoom > 1) {
        view.x = start.view.x - dx / view.zoom;
        view.y = start.view.y - dy / view.zoom;
      }
    }
    pointed = found(event);
    map.style.cursor = pointed ? "pointer" : "grab";
    at("map-told").textContent = pointed ? pointed.querySelector("img").alt : "";
    draw();
  });
  map.addEventListener("pointerup", event => {
    const clicked = start && !start.moved && found(event);
    start = null;
    if (clicked) enlarge(clicked);
  });
  map.addEventListener("pointerleave", () => {
    pointed = start = null;
    at("map-told").textContent = "";
    draw();
  });
  map.addEventListener("wheel", event => {
    if (!event.ctrlKey && document.activeElement !== map) return;
    event.preventDefault();
    const box = map.getBoundingClientRect(), before = view.zoom;
    const x = event.clientX - box.left - map.clientWidth / 2, y = event.clientY - box.top - map.clientHeight / 2;
    zoom(Math.exp(-event.deltaY / 400));
    if (view.zoom > 1) {
      view.x += x / before - x / view.zoom;
      view.y += y / before - y / view.zoom;
    }
    draw();
  }, { passive: false });
  map.addEventListener("keydown", event => {
    const move = { ArrowLeft: [-40, 0], ArrowRight: [40, 0], ArrowUp: [0, -40], ArrowDown: [0, 40] }[event.key];
    if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") zoom(0);
    else if (move && view.zoom > 1) {
      view.x += move[0] / view.zoom;
      view.y += move[1] / view.zoom;
      draw();
    } else return;
    event.preventDefault();
  });
  at("map-in").addEventListener("click", () => zoom(1.5));
  at("map-out").addEventListener("click", () => zoom(1 / 1.5));
  at("map-reset").addEventListener("click", () => zoom(0));
  for (const id of ["map-axes", "map-pictures"]) at(id).addEventListener("input", draw);
  if (at("map-colour")) at("map-colour").addEventListener("input", legend);
  window.addEventListener("resize", draw);
  for (const option of placed) option.querySelector("img").decode().then(draw, () => {});
  zoom(1);
  legend();
}

// Clips play, muted, while they are in sight, unless less motion is wished for.

if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
  const sight = new IntersectionObserver(entries => {
    for (const entry of entries) {
      if (entry.isIntersecting) entry.target.play().catch(() => {});
      else entry.target.pause();
    }
  }, { threshold: 0.5 });
  for (const video of document.querySelectorAll("video")) sight.observe(video);
}

if (options.length) choose(current, false);
