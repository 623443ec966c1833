#include "qkv/view/page.h"

namespace qkv {

const std::string_view kPageStyle = R"page(
:root { --back: #fdfcfb; --card: #fff; --ink: #23201e; --soft: #6d6763; --edge: #e2dcd7;
        --accent: #b5302c; --mark: #b5302c22; color-scheme: light; }
:root[data-theme=dark] { --back: #131318; --card: #1b1b23; --ink: #ecebf0; --soft: #9d9aa8;
        --edge: #33323e; --accent: #f39a4a; --mark: #f39a4a2e; color-scheme: dark; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1.25rem 2rem; max-width: 1500px; background: var(--back);
       color: var(--ink); font: 15px/1.45 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif; }
header { display: flex; align-items: baseline; gap: 1rem; }
h1 { font-size: 1.3rem; margin: 0; flex: 1; }
h2 { font-size: .8rem; font-weight: 600; margin: 0 0 .5rem; color: var(--soft); }
#texts { margin: .5rem 0 1rem; font-size: 1.1rem; max-height: 6em; overflow: auto;
       overflow-wrap: anywhere; }
#arrow { color: var(--accent); margin: 0 .6rem; }
button, select { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--edge);
       border-radius: 6px; padding: .25rem .55rem; cursor: pointer; }
select { max-width: 24rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
form { display: flex; flex-wrap: wrap; gap: .6rem 1.25rem; align-items: center; color: var(--soft); }
form select { color: var(--ink); margin-left: .3rem; }
fieldset { border: 0; margin: 0; padding: 0; display: flex; align-items: center; gap: .4rem; }
legend { float: left; padding: 0; margin-right: .4rem; }
#kinds { display: inline-flex; border: 1px solid var(--edge); border-radius: 6px; overflow: hidden; }
#kinds label { padding: .25rem .7rem; background: var(--card); color: var(--ink); cursor: pointer; }
#kinds label + label { border-left: 1px solid var(--edge); }
#kinds input { position: absolute; opacity: 0; }
#kinds label:has(:checked) { background: var(--accent); color: var(--card); }
#kinds label:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: -2px; }
#kinds input:checked + span { font-weight: 600; }
#heads { display: flex; flex-wrap: wrap; gap: .5rem; margin: .9rem 0; }
#heads button { padding: .3rem; display: grid; gap: .15rem; justify-items: center; font-size: .78rem;
       color: var(--soft); }
#heads button[aria-pressed=true] { border-color: var(--accent); color: var(--ink);
       box-shadow: 0 0 0 1px var(--accent); }
#heads canvas { width: 60px; height: 60px; image-rendering: pixelated; border-radius: 3px; }
main { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
section { background: var(--card); border: 1px solid var(--edge); border-radius: 10px;
       padding: .8rem 1rem; max-width: 100%; }
.scroll { overflow: auto; max-height: 82vh; }
svg { display: block; user-select: none; }
svg text { fill: var(--ink); font-size: 13px; cursor: default; }
svg text.small { font-size: 10px; }
svg text.on { fill: var(--accent); font-weight: 700; }
svg .faint { opacity: .28; }
#lines path { fill: none; stroke: var(--accent); }
#lines .hit { fill: transparent; }
#lines .hit.on { fill: var(--mark); }
#map .band { fill: none; stroke: var(--accent); }
#map:focus { outline: none; }
#map:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; border-radius: 6px; }
#map .cell { fill: none; stroke: var(--accent); stroke-width: 2; }
#map .frame { fill: none; stroke: var(--edge); }
#map image { image-rendering: pixelated; }
#readout { min-height: 1.5em; margin: .6rem 0 0; font-variant-numeric: tabular-nums; }
#readout b { color: var(--accent); }
#bar { display: flex; gap: .5rem; align-items: center; margin: .3rem 0 0; color: var(--soft);
       font-size: .8rem; font-variant-numeric: tabular-nums; }
#bar canvas { width: 160px; height: 10px; border-radius: 3px; }
footer { color: var(--soft); font-size: .82rem; margin-top: 1rem; }
kbd { border: 1px solid var(--edge); border-radius: 4px; padding: 0 .3em; font-size: .9em; }
@media (prefers-reduced-motion: no-preference) { #lines path, svg text { transition: opacity .12s; } }
)page";

}  // namespace qkv
