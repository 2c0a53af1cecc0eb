"""The page's looks: light and dark, on a desk and on a phone."""

CSS = """\
:root {
  color-scheme: light dark;
  --paper: #f7f7f4; --sheet: #ffffff; --ink: #1c2430; --soft: #5b6675; --line: #e2e3dd;
  --bar: #2f7d78; --leak: #b3261e; --suspect: #9a5b00; --note: #47617f;
  --leak-paper: #fdf0ee; --suspect-paper: #fdf5e6; --note-paper: #f0f4f8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --sheet: #1c2229; --ink: #e6e9ec; --soft: #a0abb8; --line: #323a44;
    --bar: #58b8ae; --leak: #ff9d93; --suspect: #f0bd63; --note: #9dbadb;
    --leak-paper: #33211f; --suspect-paper: #302818; --note-paper: #1f2833;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1040px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 40px 0 12px; }
p { margin: 0 0 10px; }
.scroll + p { margin-top: 8px; }
.soft { color: var(--soft); }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 10px;
  margin: 20px 0 0; padding: 0;
}
.tiles div {
  background: var(--sheet); border: 1px solid var(--line); border-radius: 10px;
  padding: 10px 14px;
}
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.cautions { list-style: none; margin: 0; padding: 0; display: grid; gap: 10px; }
.cautions li {
  border-radius: 10px; padding: 12px 16px; border-left-width: 5px; border-left-style: solid;
}
.cautions p { margin: 4px 0 0; overflow-wrap: anywhere; }
.cautions b { overflow-wrap: anywhere; }
.level {
  font-size: .75rem; font-weight: 700; letter-spacing: .04em; text-transform: uppercase;
  margin-right: 8px;
}
.leak { background: var(--leak-paper); border-color: var(--leak); }
.suspect { background: var(--suspect-paper); border-color: var(--suspect); }
.note { background: var(--note-paper); border-color: var(--note); }
.leak .level { color: var(--leak); }
.suspect .level { color: var(--suspect); }
.note .level { color: var(--note); }
.pair {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 14px;
  margin: 14px 0; align-items: start;
}
.stack { display: grid; gap: 14px; min-width: 0; }
figure {
  margin: 0; background: var(--sheet); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 14px 10px; min-width: 0;
}
figcaption { font-weight: 600; font-size: .95rem; margin-bottom: 6px; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .name { fill: var(--ink); font-weight: 600; }
svg .bar { fill: var(--bar); }
svg .grid { stroke: var(--line); }
svg .base { stroke: var(--soft); stroke-opacity: .6; }
svg .whole { stroke: var(--bar); stroke-width: 2; stroke-opacity: .55; }
details { margin-top: 6px; font-size: .9rem; }
summary { color: var(--soft); cursor: pointer; }
.scroll + .scroll { margin-top: 14px; }
.scroll {
  overflow-x: auto; background: var(--sheet); border: 1px solid var(--line); border-radius: 10px;
}
details .scroll { border: 0; max-height: 320px; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
caption { text-align: left; font-weight: 600; padding: 10px 11px 4px; }
caption span { display: block; max-width: calc(100vw - 64px); }
th, td { padding: 6px 11px; text-align: left; vertical-align: top; }
th { font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--line); }
thead th { white-space: nowrap; vertical-align: bottom; }
tbody tr + tr td, tbody tr + tr th { border-top: 1px solid var(--line); }
tbody th {
  color: var(--ink); border-bottom: 0; overflow-wrap: break-word; max-width: 20em;
}
td.wide { overflow-wrap: anywhere; min-width: 15em; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.meter {
  display: inline-block; width: 64px; height: 8px; border-radius: 4px; background: var(--line);
  margin-left: 8px; overflow: hidden;
}
.meter i { display: block; height: 100%; background: var(--bar); }
footer { margin-top: 40px; color: var(--soft); font-size: .85rem; }
@media (max-width: 520px) {
  main { padding: 20px 12px 36px; }
  h1 { font-size: 1.4rem; }
  th, td { padding: 6px 10px; }
  .tiles { grid-template-columns: 1fr 1fr; }
}
@media print {
  body { background: none; }
  figure, tr, .cautions li { break-inside: avoid; }
}
"""
