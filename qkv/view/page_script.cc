#include "qkv/view/page.h"

namespace qkv {

// All text of users goes through textContent; nothing is ever parsed as markup.
const std::string_view kPageScript = R"page(
"use strict";
const sentences = JSON.parse(document.getElementById("data").textContent);
const kinds = ["encoder", "decoder", "cross"], MEAN = -1;
const byId = id => document.getElementById(id);
const ramps = {
  light: [[255, 249, 243], [254, 214, 180], [246, 146, 100], [209, 58, 50], [103, 4, 28]],
  dark: [[24, 24, 38], [82, 32, 108], [176, 52, 102], [240, 128, 56], [254, 240, 168]]};
const state = {sentence: 0, kind: "cross", layer: 0, head: MEAN, row: null, column: null};

function element(name, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
const theme = () => document.documentElement.dataset.theme;
function colour(t) {
  const ramp = ramps[theme()], place = Math.min(Math.max(t || 0, 0), 1) * (ramp.length - 1);
  const i = Math.min(Math.floor(place), ramp.length - 2);
  return ramp[i].map((a, k) => Math.round(a + (ramp[i + 1][k] - a) * (place - i)));
}

// ---- what is shown -----------------------------------------------------------------------------
const sentence = () => sentences[state.sentence];
const fed = s => s.target_in.length ? s.target_in : s.target;
const rows = () => state.kind === "encoder" ? sentence().source : sentence().target;
const columns = () => state.kind === "decoder" ? fed(sentence()) : sentence().source;
const present = (kind, layer) => sentence().maps.filter(
  m => m.kind === kind && (layer === undefined || m.layer === layer));
const sorted = numbers => [...new Set(numbers)].sort((a, b) => a - b);
const layersOf = kind => sorted(present(kind).map(m => m.layer));
function headsOf() {
  const heads = sorted(present(state.kind, state.layer).map(m => m.head));
  return heads.length === 0 || heads.includes(MEAN) ? heads : [MEAN, ...heads];
}
function weightsOf(head) {
  const maps = present(state.kind, state.layer), stored = maps.find(m => m.head === head);
  if (stored) return stored.weights;
  return rows().map((_, r) => columns().map(
    (_, c) => maps.reduce((sum, m) => sum + m.weights[r][c], 0) / maps.length));
}
const largest = weights => weights.reduce((m, row) => row.reduce((a, b) => Math.max(a, b), m), 0) || 1;
const format = w => w === 0 ? "0" : Math.abs(w) < 0.0005 ? w.toExponential(1) : w.toFixed(4);

// ---- choosers ----------------------------------------------------------------------------------
function fill(select, values, chosen, label) {
  select.replaceChildren(...values.map(v => {
    const option = document.createElement("option");
    option.value = v;
    option.textContent = label(v);
    option.selected = v === chosen;
    return option;
  }));
}
function settle() {  // after any change: choose what exists, nearest to what was chosen
  const have = kinds.filter(k => present(k).length);
  if (!have.includes(state.kind)) state.kind = have[have.length - 1] || "cross";
  const layers = layersOf(state.kind);
  if (!layers.includes(state.layer)) state.layer = layers.length ? layers[layers.length - 1] : 0;
  const heads = headsOf();
  if (!heads.includes(state.head)) state.head = heads.length ? heads[0] : MEAN;
  state.row = state.column = null;
  return {have, layers, heads};
}
function choose(change) {
  Object.assign(state, change);
  const {have, layers, heads} = settle();
  byId("source-text").textContent = sentence().source_text || sentence().source.join(" ");
  byId("translation").textContent = sentence().translation || sentence().target.join(" ");
  fill(byId("layer"), layers, state.layer, l => l);
  byId("kinds").replaceChildren(...have.map(kind => {
    const label = document.createElement("label"), input = document.createElement("input");
    const name = document.createElement("span");
    Object.assign(input, {type: "radio", name: "kind", value: kind, checked: kind === state.kind});
    input.onchange = () => {
      choose({kind});
      byId("kinds").querySelector(":checked").focus();
    };
    name.textContent = kind;
    label.append(input, name);
    return label;
  }));
  byId("heads").replaceChildren(...heads.map(head => {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    button.type = "button";
    button.setAttribute("aria-pressed", head === state.head);
    button.dataset.head = head;
    const weights = weightsOf(head);
    paint(canvas, weights, weights.map(() => largest(weights)));
    button.append(canvas, head === MEAN ? "mean" : "head " + head);
    button.onclick = () => {
      choose({head});
      byId("heads").querySelector("[aria-pressed=true]").focus();
    };
    return button;
  }));
  draw();
}
function step(list, now, back) {
  const i = list.indexOf(now);
  return list[(i + (back ? list.length - 1 : 1)) % list.length];
}

// ---- the heat map ------------------------------------------------------------------------------
let weights = [], grid = null;
function paint(canvas, values, ends) {
  canvas.height = Math.max(values.length, 1);
  canvas.width = Math.max(values.length ? values[0].length : 0, 1);
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  values.forEach((row, r) => row.forEach((w, c) => {
    image.data.set([...colour(w / ends[r]), 255], (r * canvas.width + c) * 4);
  }));
  context.putImageData(image, 0, 0);
}
function shorten(label) {
  const letters = [...label];
  return letters.length > 18 ? letters.slice(0, 17).join("") + "…" : label;
}
const ruler = document.createElement("canvas").getContext("2d");
function widthOf(labels) {
  ruler.font = "13px system-ui, sans-serif";
  return labels.reduce((most, l) => Math.max(most, ruler.measureText(shorten(l)).width), 0);
}
function drawMap() {
  const svg = byId("map"), R = rows().length, C = columns().length;
  svg.replaceChildren();
  if (!R || !C || !weights.length) {
    svg.setAttribute("width", 240);
    svg.setAttribute("height", 40);
    svg.append(element("text", {x: 4, y: 24}, "nothing to show"));
    grid = null;
    return;
  }
  const cell = Math.max(5, Math.min(36, Math.floor(640 / Math.max(R, C))));
  const size = Math.max(10, Math.min(13, cell - 1)), every = Math.ceil((size + 1) / cell);
  const slant = widthOf(columns()) * 0.71, x = Math.ceil(widthOf(rows())) + 14, y = Math.ceil(slant) + 18;
  grid = {x, y, cell, R, C};
  svg.setAttribute("width", x + C * cell + Math.max(slant, 12) + 6);
  svg.setAttribute("height", y + R * cell + 8);
  const ends = byId("scale").value === "one" ? weights.map(() => 1)
    : byId("scale").value === "row" ? weights.map(row => largest([row]))
    : weights.map(() => largest(weights));
  // Cells as rectangles, a row a group; beyond some thousand of them one picture is quicker.
  if (R * C <= 6400) {
    weights.forEach((row, r) => row.forEach((w, c) => svg.append(element("rect", {
      x: x + c * cell, y: y + r * cell, width: cell, height: cell, "shape-rendering": "crispEdges",
      fill: `rgb(${colour(w / ends[r])})`}))));
  } else {
    const holder = element("foreignObject", {x, y, width: C * cell, height: R * cell});
    const canvas = document.createElement("canvas");
    paint(canvas, weights, ends);
    canvas.style.cssText = `width:${C * cell}px;height:${R * cell}px;image-rendering:pixelated;display:block`;
    holder.append(canvas);
    svg.append(holder);
  }
  svg.append(element("rect", {class: "frame", x, y, width: C * cell, height: R * cell}));
  const addLabel = (text, i, name, attributes) => {
    const label = element("text", {...attributes, "data-axis": name, "data-index": i,
      style: `font-size:${size}px`}, shorten(text));
    label.append(element("title", {}, text));
    if (i % every) label.style.display = "none";
    svg.append(label);
  };
  rows().forEach((text, r) => addLabel(text, r, "row", {
    x: x - 7, y: y + (r + 0.5) * cell + size * 0.35, "text-anchor": "end"}));
  columns().forEach((text, c) => {
    const at = x + (c + 0.5) * cell + size * 0.25;
    addLabel(text, c, "column", {x: at, y: y - 7, transform: `rotate(-45 ${at} ${y - 7})`});
  });
  for (const name of ["across", "down", "cell"]) {
    svg.append(element("rect", {class: name === "cell" ? "cell" : "band", id: "mark-" + name,
      "pointer-events": "none", visibility: "hidden"}));
  }
  byId("bar-end").textContent = byId("scale").value === "row" ? "largest of the row" : ends[0].toPrecision(3);
  paint(byId("bar").querySelector("canvas"), [Array.from({length: 160}, (_, i) => i / 159)], [1]);
}

// ---- the lines ---------------------------------------------------------------------------------
function drawLines() {
  const svg = byId("lines"), left = columns(), right = rows();
  svg.replaceChildren();
  const pitch = Math.max(left.length, right.length) > 60 ? 15 : 24, gap = 190;
  const x = Math.ceil(widthOf(left)) + 16, width = x + gap + Math.ceil(widthOf(right)) + 20;
  const height = Math.max(left.length, right.length, 1) * pitch + 8;
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  const yOf = (i, n) => 4 + (i + 0.5) * (height - 8) / Math.max(n, 1);
  const end = largest(weights);
  const lines = [];
  weights.forEach((row, r) => row.forEach((w, c) => {
    if (w > 0.02 * end) lines.push([w, r, c]);
  }));
  lines.sort((a, b) => b[0] - a[0]);
  for (const [w, r, c] of lines.slice(0, 4000)) {
    const a = yOf(c, left.length), b = yOf(r, right.length), bend = gap * 0.45;
    svg.append(element("path", {d: `M${x} ${a}C${x + bend} ${a} ${x + gap - bend} ${b} ${x + gap} ${b}`,
      "data-row": r, "data-column": c, "data-weight": Math.min(1, w), opacity: Math.min(1, w).toFixed(3),
      "stroke-width": (0.7 + 2.3 * Math.min(1, w)).toFixed(2)}));
  }
  const side = (labels, axis, at, anchor) => labels.forEach((text, i) => {
    const y = yOf(i, labels.length), box = (height - 8) / labels.length;
    const hit = element("rect", {class: "hit", x: anchor === "end" ? 0 : x + gap, y: y - box / 2,
      width: anchor === "end" ? x : width - x - gap, height: box, rx: 4,
      "data-axis": axis, "data-index": i});
    const label = element("text", {x: at, y: y + 4.5, "text-anchor": anchor, "pointer-events": "none",
      "data-axis": axis, "data-index": i}, shorten(text));
    if (pitch < 20) label.classList.add("small");
    hit.append(element("title", {}, text));
    svg.append(hit, label);
  });
  side(left, "column", x - 8, "end");
  side(right, "row", x + gap + 8, "start");
}

// ---- highlighting ------------------------------------------------------------------------------
function show(name, box) {
  const mark = byId("mark-" + name);
  mark.setAttribute("visibility", box ? "visible" : "hidden");
  if (box) Object.entries(box).forEach(([key, value]) => mark.setAttribute(key, value));
}
function bold(text) {
  const b = document.createElement("b");
  b.textContent = text;
  return b;
}
function highlight(row, column) {
  state.row = row;
  state.column = column;
  const off = row === null && column === null, readout = byId("readout");
  if (grid) {
    const {x, y, cell, R, C} = grid;
    show("across", row !== null && {x, y: y + row * cell, width: C * cell, height: cell});
    show("down", column !== null && {x: x + column * cell, y, width: cell, height: R * cell});
    show("cell", row !== null && column !== null &&
      {x: x + column * cell, y: y + row * cell, width: cell, height: cell});
  }
  for (const node of document.querySelectorAll("svg [data-axis]")) {
    const mine = node.dataset.axis === "row" ? row : column;
    node.classList.toggle("on", mine !== null && +node.dataset.index === mine);
  }
  for (const path of byId("lines").querySelectorAll("path")) {
    const fits = (row === null || +path.dataset.row === row) &&
                 (column === null || +path.dataset.column === column);
    const w = +path.dataset.weight;
    path.setAttribute("opacity", off ? w : fits ? Math.max(0.15, w) : 0.03);
  }
  readout.replaceChildren();
  if (off || !weights.length) {
    readout.textContent = "Point at a cell or a word for exact weights.";
  } else if (row !== null && column !== null) {
    readout.append(bold(rows()[row]), " looks at ", bold(columns()[column]), " with ",
      bold(format(weights[row][column])));
  } else {
    const values = row !== null ? weights[row] : weights.map(r => r[column]);
    const names = row !== null ? columns() : rows();
    const best = values.map((w, i) => [w, i]).sort((a, b) => b[0] - a[0]).slice(0, 3);
    readout.append(bold(row !== null ? rows()[row] : columns()[column]),
      row !== null ? " looks at " : " is looked at by ");
    best.forEach(([w, i], n) => readout.append(n ? ", " : "", names[i] + " " + format(w)));
    if (row === null) readout.append("; in all " + format(values.reduce((a, b) => a + b, 0)));
  }
}
function draw() {
  weights = present(state.kind, state.layer).length ? weightsOf(state.head) : [];
  drawMap();
  drawLines();
  highlight(null, null);
}

// ---- events ------------------------------------------------------------------------------------
function over(event) {
  const target = event.target.closest("[data-axis]");
  if (target) {
    const i = +target.dataset.index;
    return target.dataset.axis === "row" ? highlight(i, null) : highlight(null, i);
  }
  if (!grid || event.currentTarget.id !== "map") return highlight(null, null);
  const box = byId("map").getBoundingClientRect();
  const c = Math.floor((event.clientX - box.left - grid.x) / grid.cell);
  const r = Math.floor((event.clientY - box.top - grid.y) / grid.cell);
  if (r >= 0 && c >= 0 && r < grid.R && c < grid.C) highlight(r, c);
  else highlight(null, null);
}
for (const id of ["map", "lines"]) {
  byId(id).addEventListener("pointermove", over);
  byId(id).addEventListener("pointerdown", over);
  byId(id).addEventListener("pointerleave", e => e.pointerType === "mouse" && highlight(null, null));
}
byId("map").addEventListener("keydown", event => {
  if (!grid) return;
  const clamp = (value, n) => Math.min(Math.max(value, 0), n - 1);
  let {row, column} = state;
  const first = row === null && column === null;
  row = row ?? 0;
  column = column ?? 0;
  const moves = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    Home: [0, -grid.C], End: [0, grid.C]};
  if (event.key === "Escape") return highlight(null, null);
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  highlight(first ? 0 : clamp(row + move[0], grid.R), first ? 0 : clamp(column + move[1], grid.C));
});
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const key = event.key.toLowerCase(), back = event.shiftKey;
  if (!sentences.length) return;
  if (key === "k") choose({kind: step(kinds.filter(k => present(k).length), state.kind, back)});
  if (key === "l") choose({layer: step(layersOf(state.kind), state.layer, back)});
  if (key === "h") choose({head: step(headsOf(), state.head, back)});
  if (key === "t") toggleTheme();
});
byId("choosers").addEventListener("submit", event => event.preventDefault());
byId("sentence").onchange = event => choose({sentence: +event.target.value});
byId("layer").onchange = event => choose({layer: +event.target.value});
byId("scale").onchange = () => draw();
function toggleTheme() {
  document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
  if (sentences.length) choose({});
}
byId("theme").onclick = toggleTheme;

// ---- start -------------------------------------------------------------------------------------
document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
if (sentences.length) {
  fill(byId("sentence"), sentences.map((_, i) => i), 0,
    i => sentences[i].title || sentences[i].source_text || sentences[i].source.join(" ") || "(empty)");
  byId("sentence-chooser").hidden = sentences.length < 2;
  state.layer = NaN;  // the last one
  choose({});
} else {
  byId("readout").textContent = "The page holds no sentence.";
}
)page";

}  // namespace qkv
