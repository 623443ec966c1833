#include "qkv/view/page.h"

namespace qkv {

const std::string_view kPicturePageHtml = R"page(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{{title}}</title>
<style>
{{style}}
#stage { position: relative; width: min(82vh, 90vw); }
#stage img { width: 100%; display: block; image-rendering: pixelated; }
#stage svg { position: absolute; inset: 0; width: 100%; height: 100%; cursor: pointer; }
#stage .query { fill: none; stroke: #50dcff; stroke-width: 3; vector-effect: non-scaling-stroke; }
</style>
</head>
<body>
<header>
  <h1>{{title}}</h1>
  <button id="theme" type="button" title="Light or dark (t)">◐ theme</button>
</header>
<form id="choosers" aria-label="What to show">
  <label>layer <select id="layer"></select></label>
  <label>colours <select id="scale">
    <option value="row">largest weight of this row</option>
    <option value="map">largest weight of this map</option>
    <option value="one">0 to 1</option>
  </select></label>
  <button id="class" type="button">class row</button>
</form>
<div id="heads" role="group" aria-label="Head"></div>
<main>
  <section>
    <h2 id="name">what a patch attends to</h2>
    <div id="stage"><img id="picture" alt="" src="{{image}}"><svg id="cells" tabindex="0"
         role="application" aria-labelledby="name" aria-describedby="readout"
         preserveAspectRatio="none"></svg></div>
    <p id="readout" aria-live="polite"></p>
  </section>
</main>
<footer>Click a patch to see what it attends to; the bright ones have its largest weights. Keys: arrows
move to the next patch, <kbd>c</kbd> the class row, <kbd>l</kbd> layer, <kbd>h</kbd> head (with Shift:
back), <kbd>t</kbd> theme.</footer>
<noscript>This page draws its pictures with JavaScript, which is switched off.</noscript>
<script type="application/json" id="data">{{data}}</script>
<script>
{{script}}
</script>
</body>
</html>
)page";

// All text goes through textContent; nothing is ever parsed as markup.
const std::string_view kPicturePageScript = R"page(
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const MEAN = -1, maps = data.attention.maps, size = data.rows * data.cols;
const byId = id => document.getElementById(id);
const ramp = [[13, 10, 28], [82, 32, 108], [176, 52, 102], [240, 128, 56], [254, 240, 168]];
const state = {layer: data.layer, head: data.head, row: data.row, seen: null};
const sorted = numbers => [...new Set(numbers)].sort((a, b) => a - b);
const layers = sorted(maps.map(m => m.layer));
const ofLayer = () => maps.filter(m => m.layer === state.layer);
const headsOf = () => [MEAN, ...sorted(ofLayer().map(m => m.head)).filter(h => h !== MEAN)];
function weightsOf(head, row) {
  const all = ofLayer(), stored = all.find(m => m.head === head);
  const full = stored ? stored.weights[row]
    : all[0].weights[row].map((_, c) => all.reduce((s, m) => s + m.weights[row][c], 0) / all.length);
  return full.slice(data.tokens);
}
function colour(t) {
  const place = Math.min(Math.max(t || 0, 0), 1) * (ramp.length - 1);
  const i = Math.min(Math.floor(place), ramp.length - 2);
  return ramp[i].map((a, k) => Math.round(a + (ramp[i + 1][k] - a) * (place - i)));
}
const placeOf = i => Math.floor(i / data.cols) + "," + i % data.cols;
const nameOf = row => row < data.tokens ? "class row" : "patch " + placeOf(row - data.tokens);
const format = w => w === 0 ? "0" : Math.abs(w) < 0.0005 ? w.toExponential(1) : w.toFixed(4);
function scaleOf(weights) {
  const how = byId("scale").value;
  if (how === "one") return 1;
  const rows = how === "row" ? [weights]
    : Array.from({length: data.tokens + size}, (_, r) => weightsOf(state.head, r));
  return rows.reduce((m, r) => r.reduce((a, b) => Math.max(a, b), m), 0) || 1;
}
function element(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
function drawHeads() {
  byId("heads").replaceChildren(...headsOf().map(head => {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    const name = document.createElement("span");
    const weights = weightsOf(head, state.row), most = Math.max(...weights) || 1;
    button.type = "button";
    button.setAttribute("aria-pressed", head === state.head);
    canvas.width = data.cols;
    canvas.height = data.rows;
    const pixels = canvas.getContext("2d").createImageData(data.cols, data.rows);
    weights.forEach((w, i) => pixels.data.set([...colour(w / most), 255], 4 * i));
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    name.textContent = head === MEAN ? "mean" : "head " + head;
    button.append(canvas, name);
    button.onclick = () => { state.head = head; draw(); };
    return button;
  }));
}
function readout(weights) {
  const seen = state.seen === null ? "" : ", of " + placeOf(state.seen) + ": " +
    format(weights[state.seen]);
  const best = weights.indexOf(Math.max(...weights));
  byId("readout").textContent = nameOf(state.row) + " looks most at " + placeOf(best) + " (" +
    format(weights[best]) + ")" + seen;
}
function draw() {
  const weights = weightsOf(state.head, state.row), scale = scaleOf(weights), svg = byId("cells");
  svg.setAttribute("viewBox", "0 0 " + data.cols + " " + data.rows);
  svg.replaceChildren(...weights.map((w, i) => {
    const t = Math.min(w / scale, 1), cell = element("rect", {
      x: i % data.cols, y: Math.floor(i / data.cols), width: 1, height: 1,
      fill: "rgb(" + colour(t).join(",") + ")", "fill-opacity": 0.25 + 0.55 * t});
    cell.onclick = () => { state.row = data.tokens + i; draw(); svg.focus(); };
    cell.onmouseenter = () => { state.seen = i; readout(weights); };
    return cell;
  }));
  svg.onmouseleave = () => { state.seen = null; readout(weights); };
  if (state.row >= data.tokens) {
    const i = state.row - data.tokens;
    svg.append(element("rect", {class: "query", x: i % data.cols, y: Math.floor(i / data.cols),
                                width: 1, height: 1}));
  }
  byId("name").textContent = "what " + (state.row < data.tokens ? "the " : "") +
    nameOf(state.row) + " attends to";
  byId("layer").value = state.layer;
  drawHeads();
  readout(weights);
}
function step(list, value, by) {
  return list[(list.indexOf(value) + by + list.length) % list.length];
}
function move(down, right) {
  const i = Math.max(state.row - data.tokens, 0);
  const r = Math.min(Math.max(Math.floor(i / data.cols) + down, 0), data.rows - 1);
  const c = Math.min(Math.max(i % data.cols + right, 0), data.cols - 1);
  state.row = data.tokens + (state.row < data.tokens ? 0 : r * data.cols + c);
  draw();
}
function setLayer(layer) {
  state.layer = layer;
  if (!headsOf().includes(state.head)) state.head = MEAN;
  draw();
}
byId("layer").replaceChildren(...layers.map(l => new Option(l, l)));
byId("layer").onchange = e => setLayer(Number(e.target.value));
byId("scale").onchange = draw;
byId("class").hidden = data.tokens === 0;
byId("class").onclick = () => { state.row = 0; draw(); };
const turn = () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
};
byId("theme").onclick = turn;
document.documentElement.dataset.theme = "light";
const moves = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.tagName === "SELECT") return;
  const by = event.shiftKey ? -1 : 1, key = event.key.toLowerCase();
  if (moves[event.key]) {
    event.preventDefault();
    move(...moves[event.key]);
  } else if (key === "c" && data.tokens > 0) {
    state.row = 0;
    draw();
  } else if (key === "l") {
    setLayer(step(layers, state.layer, by));
  } else if (key === "h") {
    state.head = step(headsOf(), state.head, by);
    draw();
  } else if (key === "t") {
    turn();
  }
});
draw();
)page";

}  // namespace qkv
