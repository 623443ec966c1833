#include "qkv/view/page.h"

namespace qkv {

const std::string_view kPageHtml = R"page(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{{title}}</title>
<style>
{{style}}
</style>
</head>
<body>
<header>
  <h1>{{title}}</h1>
  <button id="theme" type="button" title="Light or dark (t)">◐ theme</button>
</header>
<p id="texts"><span id="source-text"></span><span id="arrow" aria-hidden="true">→</span><span
  id="translation"></span></p>
<form id="choosers" aria-label="What to show">
  <label id="sentence-chooser">sentence <select id="sentence"></select></label>
  <fieldset><legend>attention</legend><span id="kinds"></span></fieldset>
  <label>layer <select id="layer"></select></label>
  <label>colours <select id="scale">
    <option value="map">largest weight of this map</option>
    <option value="one">0 to 1</option>
    <option value="row">largest weight of each row</option>
  </select></label>
</form>
<div id="heads" role="group" aria-label="Head"></div>
<main>
  <section aria-labelledby="lines-name">
    <h2 id="lines-name">who looks at whom</h2>
    <div class="scroll"><svg id="lines" role="img" aria-labelledby="lines-name"></svg></div>
  </section>
  <section aria-labelledby="map-name">
    <h2 id="map-name">weights</h2>
    <div class="scroll"><svg id="map" tabindex="0" role="application" aria-labelledby="map-name"
         aria-describedby="readout"></svg></div>
    <p id="readout" aria-live="polite"></p>
    <p id="bar"><span>0</span><canvas width="160" height="1"></canvas><span id="bar-end"></span></p>
  </section>
</main>
<footer>Rows are queries (who looks), columns are keys (what is looked at); in the lines, keys stand
on the left. Keys: arrows move in the map, <kbd>Home</kbd> <kbd>End</kbd> jump, <kbd>Esc</kbd> lets
go; <kbd>k</kbd> kind, <kbd>l</kbd> layer, <kbd>h</kbd> head (with Shift: back), <kbd>t</kbd> theme.
</footer>
<noscript>This page draws its pictures with JavaScript, which is switched off.</noscript>
<script type="application/json" id="data">{{data}}</script>
<script>
{{script}}
</script>
</body>
</html>
)page";

}  // namespace qkv
