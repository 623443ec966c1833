#include "qkv/view/graph_picture.h"
#include "qkv/view/html.h"
#include "qkv/view/json.h"
#include "qkv/view/label.h"
#include "qkv/view/page.h"

namespace qkv {
namespace {

constexpr std::string_view kHtml = R"page(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{{title}}</title>
<style>
{{style}}
#graph line.thin { stroke: var(--edge); }
#graph line.seen { stroke: var(--accent); stroke-linecap: round; }
#graph circle { fill: var(--card); stroke: var(--accent); stroke-width: 1.5; cursor: pointer; }
#graph .middle circle { fill: var(--accent); }
#table td { padding: 0 .8rem 0 0; font-variant-numeric: tabular-nums; }
</style>
</head>
<body>
<header><h1>{{title}}</h1></header>
<form id="choosers" aria-label="What to show">
  <label>layer <select id="layer"></select></label>
  <label>head <select id="head"></select></label>
  <label>node <select id="node"></select></label>
</form>
<main>
  <section aria-labelledby="graph-name">
    <h2 id="graph-name">what the node in the middle attends to</h2>
    <div class="scroll"><svg id="graph" role="img" aria-labelledby="graph-name"></svg></div>
  </section>
  <section aria-labelledby="table-name">
    <h2 id="table-name">weights</h2>
    <table><tbody id="table"></tbody></table>
  </section>
</main>
<footer>Click a node, or choose it, to bring it into the middle. Wide lines are large weights; thin
ones join others that see each other.</footer>
<noscript>This page draws its pictures with JavaScript, which is switched off.</noscript>
<script type="application/json" id="data">{{data}}</script>
<script>
{{script}}
</script>
</body>
</html>
)page";

// All text of users goes through textContent; nothing is ever parsed as markup.
constexpr std::string_view kScript = R"page(
"use strict";
document.documentElement.dataset.theme = "light";
const graph = JSON.parse(document.getElementById("data").textContent), MEAN = -1, RING = 24;
const byId = id => document.getElementById(id);
const sorted = numbers => [...new Set(numbers)].sort((a, b) => a - b);
const layers = sorted(graph.maps.map(m => m.layer));
const state = {layer: layers[layers.length - 1], head: MEAN, node: 0};

function element(name, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
function fill(select, values, chosen, label) {
  select.replaceChildren(...values.map(v => {
    const option = document.createElement("option");
    option.value = v;
    option.textContent = label(v);
    option.selected = v === chosen;
    return option;
  }));
}
const maps = () => graph.maps.filter(m => m.layer === state.layer);
function weights() {
  const stored = maps().find(m => m.head === state.head);
  if (stored) return stored.weights;
  return graph.source.map((_, r) => graph.source.map(
    (_, c) => maps().reduce((sum, m) => sum + m.weights[r][c], 0) / maps().length));
}
function draw() {
  const heads = sorted(maps().map(m => m.head).filter(h => h !== MEAN));
  if (state.head !== MEAN && !heads.includes(state.head)) state.head = MEAN;
  fill(byId("layer"), layers, state.layer, l => l + 1);
  fill(byId("head"), [MEAN, ...heads], state.head, h => h === MEAN ? "mean" : h + 1);
  fill(byId("node"), graph.source.map((_, i) => i), state.node, i => graph.source[i]);
  const w = weights(), row = w[state.node], most = Math.max(...row) || 1;
  const others = graph.source.map((_, i) => i).filter(i => i !== state.node);
  const two = others.length > RING, radius = two ? 285 : 190, centre = radius + 130;
  const place = {[state.node]: [centre, centre]};
  others.forEach((node, i) => {
    const outer = two && i >= RING, count = outer ? others.length - RING : Math.min(others.length, RING);
    const angle = 2 * Math.PI * ((outer ? i - RING + .5 : i) / count), r = outer ? 285 : 190;
    place[node] = [centre + r * Math.sin(angle), centre - r * Math.cos(angle)];
  });
  const svg = byId("graph"), line = (a, b, attributes) => svg.append(element("line", {
    x1: place[a][0], y1: place[a][1], x2: place[b][0], y2: place[b][1], ...attributes}));
  svg.replaceChildren();
  svg.setAttribute("width", 2 * centre);
  svg.setAttribute("height", 2 * centre);
  for (const a of others) for (const b of others) {
    if (a < b && (w[a][b] > 0 || w[b][a] > 0)) line(a, b, {class: "thin"});
  }
  for (const node of others) if (row[node] > 0) {
    line(state.node, node, {class: "seen", "stroke-width": 1 + 9 * row[node] / most,
                            "stroke-opacity": .25 + .75 * row[node] / most});
  }
  for (const node of [state.node, ...others]) {
    const [x, y] = place[node], side = x - centre, near = Math.abs(side) < 30;
    const group = element("g", {class: node === state.node ? "middle" : "other"});
    group.append(element("title", {}, `${graph.source[node]}: ${row[node]}`),
      element("circle", {cx: x, cy: y, r: node === state.node ? 13 : 9}),
      element("text", {x: x + (near ? 0 : side > 0 ? 13 : -13), y: y + (!near ? 4 : y < centre ? -14 : 26),
        "text-anchor": near ? "middle" : side > 0 ? "start" : "end"}, graph.source[node]));
    group.addEventListener("click", () => { state.node = node; draw(); });
    svg.append(group);
  }
  const seen = graph.source.map((_, i) => i).filter(i => row[i] > 0).sort((a, b) => row[b] - row[a]);
  byId("table").replaceChildren(...seen.map(i => {
    const line = document.createElement("tr");
    for (const text of [row[i].toFixed(4), graph.source[i]]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      line.append(cell);
    }
    return line;
  }));
}
for (const name of ["layer", "head", "node"]) {
  byId(name).addEventListener("change", event => { state[name] = Number(event.target.value); draw(); });
}
draw();
)page";

}  // namespace

std::string html_graph(const AttentionMaps& maps) {
  check(maps);
  return fill_page(kHtml, {{"title", escape_xml(maps.title)},
                           {"style", kPageStyle},
                           {"script", kScript},
                           {"data", script_safe_json(attention_json(cleaned(maps)))}});
}

}  // namespace qkv
