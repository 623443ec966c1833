#include "qkv/view/sound_page.h"

namespace qkv {

// All text of users goes through textContent; nothing is ever parsed as markup.
const std::string_view kSoundPage = R"page(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{{title}}</title>
<style>
:root { --back: #131318; --card: #1b1b23; --ink: #ecebf0; --soft: #9d9aa8; --edge: #33323e;
        --accent: #f39a4a; color-scheme: dark; }
body { margin: 0 auto; padding: 1rem 1.25rem 2rem; max-width: 1100px; background: var(--back);
       color: var(--ink); font: 15px/1.45 system-ui, "Noto Sans", sans-serif; }
h1 { font-size: 1.2rem; margin: 0 0 .6rem; overflow-wrap: anywhere; }
form { display: flex; flex-wrap: wrap; gap: 1rem; color: var(--soft); margin-bottom: .8rem; }
select { font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--edge);
       border-radius: 6px; padding: .2rem .5rem; }
canvas { display: block; width: 100%; image-rendering: pixelated; background: var(--card); }
.row { display: grid; grid-template-columns: 4.5rem 1fr; gap: .5rem; color: var(--soft);
       font-size: .8rem; }
.names { display: flex; flex-direction: column; justify-content: space-between; text-align: right; }
.row + .row { margin-top: .5rem; }
#axis { display: flex; justify-content: space-between; }
#queries { position: relative; cursor: crosshair; }
#queries:focus-visible { outline: 2px solid var(--accent); }
#readout { min-height: 1.5em; margin: .6rem 0; font-variant-numeric: tabular-nums; }
</style>
</head>
<body>
<h1 id="title"></h1>
<form aria-label="What to show">
  <label>attention <select id="kind"></select></label>
  <label>layer <select id="layer"></select></label>
  <label>head <select id="head"></select></label>
</form>
<div class="row"><div class="names"><span id="top"></span><span>0 Hz</span></div>
  <canvas id="sound" height="240" role="img" aria-label="Spectrogram"></canvas></div>
<div class="row"><div class="names"><span id="first"></span><span id="last"></span></div>
  <canvas id="queries" tabindex="0" role="application" aria-describedby="readout"></canvas></div>
<div class="row"><span>seconds</span><div id="axis"></div></div>
<p id="readout" aria-live="polite"></p>
<p style="color: var(--soft)">Above the spectrogram's pixels lies what the chosen query attends to.
Rows below are queries: point at one, or move with the arrow keys.</p>
<noscript>This page draws its pictures with JavaScript, which is switched off.</noscript>
<script type="application/json" id="data">{{data}}</script>
<script>
"use strict";
const sound = JSON.parse(document.getElementById("data").textContent), maps = sound.maps;
const byId = id => document.getElementById(id), MEAN = -1;
const ramp = [[24, 24, 38], [82, 32, 108], [176, 52, 102], [240, 128, 56], [254, 240, 168]];
const state = {kind: "", layer: 0, head: MEAN, row: 0};
function colour(t) {
  const place = Math.min(Math.max(t || 0, 0), 1) * (ramp.length - 1);
  const i = Math.min(Math.floor(place), ramp.length - 2);
  return ramp[i].map((a, k) => Math.round(a + (ramp[i + 1][k] - a) * (place - i)));
}
const unique = list => [...new Set(list)].sort((a, b) => a > b ? 1 : -1);
const kinds = unique(maps.maps.map(m => m.kind)).filter(k => k !== "decoder");
const of = () => maps.maps.filter(m => m.kind === state.kind && m.layer === state.layer);
const rows = () => state.kind === "encoder" ? maps.source : maps.target;
function weights() {
  const all = of(), one = all.find(m => m.head === state.head);
  if (one) return one.weights;
  return rows().map((_, r) => maps.source.map(
    (_, c) => all.reduce((sum, m) => sum + m.weights[r][c], 0) / all.length));
}
function fill(id, values, chosen, name) {
  byId(id).replaceChildren(...values.map(v => {
    const option = document.createElement("option");
    option.value = v;
    option.textContent = name ? name(v) : v;
    option.selected = v === chosen;
    return option;
  }));
}
let shown = [];
function choose(change) {
  Object.assign(state, change);
  if (!kinds.includes(state.kind)) state.kind = kinds[0] || "";
  const layers = unique(maps.maps.filter(m => m.kind === state.kind).map(m => m.layer));
  if (!layers.includes(state.layer)) state.layer = layers[layers.length - 1] || 0;
  const heads = unique(of().map(m => m.head));
  if (!heads.includes(MEAN)) heads.unshift(MEAN);
  if (!heads.includes(state.head)) state.head = MEAN;
  fill("kind", kinds, state.kind);
  fill("layer", layers, state.layer);
  fill("head", heads, state.head, h => h === MEAN ? "mean" : h);
  shown = weights();
  state.row = Math.min(state.row, Math.max(0, shown.length - 1));
  byId("first").textContent = rows()[0] || "";
  byId("last").textContent = rows().length > 1 ? rows()[rows().length - 1] : "";
  draw();
}
function pixels(canvas, across, down, at) {
  canvas.width = Math.max(1, across);
  canvas.height = Math.max(1, down);
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  for (let y = 0; y < down; ++y) for (let x = 0; x < across; ++x) {
    image.data.set([...colour(at(y, x)), 255], (y * across + x) * 4);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
const picture = pixels(document.createElement("canvas"), sound.across, sound.down,
                       (y, x) => sound.cells[y * sound.across + x] / 255);
function draw() {
  const canvas = byId("sound"), context = canvas.getContext("2d");
  canvas.width = 1000;
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const row = shown[state.row] || [], most = Math.max(1e-9, ...row);
  context.fillStyle = "#0008";
  context.strokeStyle = "#fff";
  context.lineWidth = 2;
  context.beginPath();
  row.forEach((w, c) => {
    const left = c / row.length * canvas.width, right = (c + 1) / row.length * canvas.width;
    const y = canvas.height - 4 - w / most * (canvas.height - 12);
    context.lineTo(left, y);
    context.lineTo(right, y);
  });
  context.stroke();
  if (state.kind === "encoder" && shown.length) {
    context.fillStyle = "#f39a4a";
    context.fillRect((state.row + .5) / shown.length * canvas.width - 1, 0, 3, canvas.height);
  }
  const largest = shown.reduce((m, r) => Math.max(m, ...r), 1e-9), queries = byId("queries");
  pixels(queries, maps.source.length, shown.length, (y, x) => shown[y][x] / largest);
  queries.style.height = Math.min(480, Math.max(24, shown.length * 14)) + "px";
  const place = row.indexOf(Math.max(...row));
  byId("readout").textContent = !row.length ? "nothing to show" :
    `${rows()[state.row]} attends most to ${maps.source[place]} s (${row[place].toFixed(3)})`;
}
byId("title").textContent = maps.title;
byId("top").textContent = sound.highest + " Hz";
byId("axis").replaceChildren(...[0, .25, .5, .75, 1].map(share => {
  const mark = document.createElement("span");
  mark.textContent = (share * sound.seconds).toFixed(2);
  return mark;
}));
byId("kind").onchange = e => choose({kind: e.target.value, row: 0});
byId("layer").onchange = e => choose({layer: Number(e.target.value)});
byId("head").onchange = e => choose({head: Number(e.target.value)});
const point = e => {
  const box = byId("queries").getBoundingClientRect();
  const row = Math.floor((e.clientY - box.top) / box.height * shown.length);
  if (row >= 0 && row < shown.length && row !== state.row) choose({row});
};
byId("queries").onmousemove = point;
byId("queries").onclick = point;
byId("queries").onkeydown = e => {
  const step = {ArrowUp: -1, ArrowDown: 1}[e.key];
  if (!step) return;
  e.preventDefault();
  choose({row: Math.min(Math.max(0, state.row + step), shown.length - 1)});
};
choose({kind: kinds.includes("cross") ? "cross" : kinds[0]});
</script>
</body>
</html>
)page";

}  // namespace qkv
