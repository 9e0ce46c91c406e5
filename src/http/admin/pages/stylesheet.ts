// The stylesheet of the console: light and dark mode, small screens, print. Links have the accent colour on the surface
// alone, the background that palette.ts measures its contrast on.
import type { Palette } from '../../pages/palette.js'
import { accentColours } from '../../pages/stylesheet.js'

export function consoleStylesheet(palette: Palette | undefined): string {
  return [accentColours(palette), TOKENS, FRAME, TEXT, TABLES, FORMS, CHARTS, NARROW, PRINT].join('')
}

const TOKENS = `
:root { color-scheme: light dark; --ink: #1a2230; --soft: #55607a; --surface: #fff; --tint: #f3f5f9; --line: #d9dfea;
  --field: #7f8aa1; --bad: #a3262c; --good: #1c6e45; --warn: #7c4a03; --info: #1d4f91; --strong: #5b2a86;
  --series-1: #2f6fb7; --series-2: #b3423f; --series-3: #6f7c93;
  --mono: ui-monospace, "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ecf5; --soft: #a9b4c9; --surface: #1a2130; --tint: #10151e;
  --line: #303a4f; --field: #74819b; --bad: #ff9a9a; --good: #7fdcae; --warn: #f0c06c; --info: #9cc4ff;
  --strong: #d5b3ff; --series-1: #6ea8ee; --series-2: #f08a87; --series-3: #93a0b8 } }
`

const FRAME = `
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { margin: 0; background: var(--surface); color: var(--ink);
  font: .875rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif }
a { color: var(--accent); text-decoration-thickness: .06em; text-underline-offset: .15em }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: .2rem }
main:focus-visible { outline: none }
.skip { position: absolute; left: -100vw; top: .4rem; z-index: 3; padding: .4rem .8rem; background: var(--surface) }
.skip:focus { left: .4rem }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.top { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .4rem 1rem;
  padding: .5rem 1.25rem; border-bottom: 1px solid var(--line); background: var(--tint) }
.brand { display: flex; align-items: center; gap: .5rem; color: var(--ink); font-weight: 600; text-decoration: none;
  overflow-wrap: anywhere }
.brand span { color: var(--soft); font-weight: 400 }
.uploaded { display: block; max-height: 2.5rem; max-width: 6rem; object-fit: contain }
.brand img { height: 1.5rem; width: auto; max-width: 8rem; object-fit: contain }
.account { display: flex; align-items: center; gap: .75rem; margin-left: auto; max-width: 100% }
.account details { position: relative; min-width: 0 }
.account summary { cursor: pointer; color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  max-width: 16rem }
.account .card { position: absolute; right: 0; z-index: 2; width: max-content; max-width: min(20rem, 80vw);
  margin-top: .4rem; padding: .75rem 1rem; background: var(--surface); border: 1px solid var(--line);
  border-radius: .4rem; box-shadow: 0 .4rem 1.2rem #0003; overflow-wrap: anywhere }
.account .card p { margin: 0 0 .4rem }
.account .card ul { margin: 0; padding: 0; list-style: none }
.frame { display: grid; grid-template-columns: 11rem minmax(0, 1fr); min-height: calc(100vh - 3rem) }
.side { padding: 1rem .6rem; border-right: 1px solid var(--line); background: var(--tint) }
.side ul, .menu ul { list-style: none; margin: 0; padding: 0 }
.side ul { position: sticky; top: 1rem }
.side a, .menu a { display: block; padding: .35rem .65rem; border-radius: .3rem; color: var(--ink);
  text-decoration: none }
.side a:hover, .menu a:hover { text-decoration: underline }
.side [aria-current], .menu [aria-current] { background: var(--surface); font-weight: 600;
  box-shadow: inset 2px 0 0 var(--accent) }
.menu { display: none }
main { padding: 1.1rem 1.5rem 3rem; min-width: 0; max-width: 84rem }
main > * { max-width: 100% }
`

const TEXT = `
h1 { font-size: 1.35rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; text-wrap: balance }
h2 { font-size: 1rem; line-height: 1.3; margin: 0 0 .35rem }
h3 { font-size: .875rem; margin: 1rem 0 .25rem }
p { margin: .4rem 0; max-width: 46rem }
section { margin-top: 1.9rem }
.lead, .soft, .hint { color: var(--soft) }
.lead { margin: 0 0 .6rem; overflow-wrap: anywhere }
time { white-space: nowrap; overflow-wrap: normal; font-variant-numeric: tabular-nums }
code { font: .92em/1.4 var(--mono); overflow-wrap: anywhere }
pre { margin: 0; padding: .75rem; font: .86em/1.5 var(--mono); white-space: pre }
pre ins, pre del { display: inline-block; min-width: 100%; text-decoration: none }
pre ins { background: var(--good-soft) } pre del { background: var(--bad-soft) }
.id { color: var(--soft); font-size: .78rem; user-select: all }
.named { display: block }
.named > a, .named > .name { display: block; font-weight: 500; overflow-wrap: anywhere }
.reason { overflow-wrap: anywhere }
.tag { display: inline-block; margin: 0 .25rem .1rem 0; padding: 0 .45rem; border: 1px solid currentColor;
  border-radius: .8rem; font-size: .75rem; line-height: 1.35; white-space: nowrap; color: var(--soft) }
.tag.info { color: var(--info) } .tag.strong { color: var(--strong); font-weight: 600 } .tag.good { color: var(--good) }
.tag.warn { color: var(--warn) } .tag.bad { color: var(--bad) }
.trail ol, .tabs ul, .contents ul, .figures { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap }
.trail { margin-bottom: .35rem; font-size: .8rem; color: var(--soft); overflow-wrap: anywhere }
.trail li { min-width: 0 }
.trail li::after { content: "/"; margin: 0 .45rem; color: var(--soft) }
.tabs { border-bottom: 1px solid var(--line); margin: .6rem 0 1rem }
.tabs a { display: block; padding: .35rem .1rem; margin-right: 1.2rem; text-decoration: none }
.tabs [aria-current] { color: var(--ink); font-weight: 600; box-shadow: inset 0 -2px 0 var(--accent) }
.contents ul { gap: .2rem 1.1rem; margin: .4rem 0 0 }
.facts { margin: .6rem 0; display: grid; gap: .3rem }
.facts > div { display: grid; grid-template-columns: 11rem minmax(0, 1fr); gap: 0 1rem }
.facts dt { color: var(--soft) }
.facts dd { margin: 0; overflow-wrap: anywhere }
.todo { list-style: none; margin: .4rem 0; padding: 0; max-width: 60rem }
.todo li { display: grid; grid-template-columns: 3.2rem minmax(0, 1fr); padding: .45rem 0; overflow-wrap: anywhere;
  border-top: 1px solid var(--line) }
.todo li:first-child { border-top: 0 } .todo .tag { justify-self: start; align-self: start; margin-top: .1rem }
.todo .soft, .todo .id { display: block }
.facts-of-row summary { cursor: pointer; color: var(--soft) }
.findings summary { cursor: pointer } .findings p { margin: .3rem 0 }
.note { margin: .8rem 0; padding: .55rem .8rem; border-left: 3px solid var(--info); background: var(--tint);
  max-width: 60rem; overflow-wrap: anywhere }
.note strong { color: var(--info) } .note a { color: inherit }
.note.warn { border-color: var(--warn) } .note.warn strong { color: var(--warn) }
.note.bad { border-color: var(--bad) } .note.bad strong { color: var(--bad) }
.empty { padding: 1.1rem; border: 1px dashed var(--field); border-radius: .4rem; max-width: 46rem }
.empty p { margin: 0 } .empty p + p { margin-top: .3rem; color: var(--soft) }
.figures { gap: .75rem; margin: .8rem 0 }
.figures li { flex: 1 1 9rem; max-width: 16rem; padding: .6rem .8rem; border: 1px solid var(--line);
  border-radius: .4rem }
.figures .label, .figures .soft { display: block; font-size: .8rem } .figures .label { color: var(--soft) }
.figures strong { font-size: 1.35rem; line-height: 1.3; font-variant-numeric: tabular-nums; font-weight: 600 }
`

const TABLES = `
.scroll { position: relative; overflow: auto; max-height: max(24rem, 78vh); margin: .6rem 0;
  border: 1px solid var(--line); border-radius: .4rem }
.scroll:focus-visible { outline-offset: 0 }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-variant-numeric: tabular-nums }
caption { text-align: left; padding: .5rem .75rem; font-weight: 600 }
caption.unseen { display: block; padding: 0 }
.facts-of-row { list-style: none; margin: 0; padding: 0; overflow-wrap: anywhere }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; max-width: 26rem }
td { min-width: 7rem } td.number, td.time, td:has(> .tag) { min-width: 0 }
th.name { min-width: 9rem } td.name { min-width: 14.2rem } td.text { min-width: 14rem }
td > code, th > code { overflow-wrap: break-word } th.code, td.code { min-width: 0; white-space: nowrap }
thead th { position: sticky; top: 0; z-index: 1; background: var(--tint); border-top: 0; color: var(--soft);
  font-size: .78rem; font-weight: 600; white-space: nowrap; box-shadow: 0 1px 0 var(--line) }
tbody th { font-weight: 400 } tbody th:has(.named) { min-width: 11rem }
tbody tr:first-child > * { border-top: 0 }
td:has(> .tag) { white-space: nowrap }
th.number, td.number, .numbers td, .numbers th + th { text-align: right } .numbers td { min-width: 0 }
 th.time, td.time { white-space: nowrap }
tbody .named > * { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden }
tbody .named > a { text-decoration: none } tbody .named > a:hover { text-decoration: underline }
.pager { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: .6rem 0 }
`

const FORMS = `
.filters { display: flex; flex-wrap: wrap; gap: .6rem; align-items: start; margin: .8rem 0 }
.field { display: flex; flex-direction: column; gap: .15rem; min-width: 0 }
.field label { color: var(--soft); font-size: .78rem }
.field.search { flex: 1 1 13rem; max-width: 26rem }
.hint { font-size: .75rem } .problem { color: var(--bad); font-size: .82rem; max-width: 46rem; overflow-wrap: anywhere }
[aria-invalid="true"] { border-color: var(--bad) }
input, select, textarea { font: inherit; color: inherit; background: var(--surface); border: 1px solid var(--field);
  border-radius: .3rem; padding: .3rem .5rem; min-height: 2rem; max-width: 100%; min-width: 0 }
textarea { width: 100%; max-width: 46rem }
textarea.code { font: .86em/1.5 var(--mono); white-space: pre; overflow: auto; max-width: none }
input[type="number"] { width: 7rem }
.submit { margin-top: 1.28rem; display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .9rem; min-height: 2rem }
.button { font: inherit; font-weight: 600; display: inline-block; padding: .3rem .8rem; min-height: 2rem;
  border-radius: .3rem; border: 1px solid var(--field); background: var(--surface); color: var(--ink);
  text-decoration: none; cursor: pointer; max-width: 100%; overflow-wrap: anywhere }
.button:hover { border-color: var(--ink) }
.button.primary { background: var(--button); border-color: var(--button); color: var(--button-ink) }
.acts { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .5rem }
.act .field { margin-bottom: .7rem } .act .field input, .act .field select { width: 100%; max-width: 32rem }
fieldset { margin: .8rem 0; padding: 0; border: 0; min-width: 0 } legend { padding: 0; font-weight: 600 }
.choice { display: flex; gap: .55rem; align-items: start; padding: .2rem 0 }
.choice input { flex: none; min-height: 1.2rem }
.secret { display: block; padding: .55rem .8rem; border: 1px solid var(--field); border-radius: .3rem; max-width: 46rem;
  user-select: all; background: var(--tint); overflow-wrap: anywhere }
.button.small { padding: .1rem .6rem; min-height: 1.7rem; font-weight: 400; white-space: nowrap }
`

const CHARTS = `
.chart { margin: .8rem 0; max-width: 60rem }
.chart figcaption { font-weight: 600; margin-bottom: .3rem }
.plot { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .2rem .5rem; font-size: .75rem;
  color: var(--soft); font-variant-numeric: tabular-nums }
.plot svg { display: block; width: 100%; height: 9rem; border-bottom: 1px solid var(--field) }
.plot .scale { display: flex; flex-direction: column; justify-content: space-between; text-align: right }
.plot .range { grid-column: 2; display: flex; justify-content: space-between; gap: 1rem }
.grid { stroke: var(--line); vector-effect: non-scaling-stroke }
.chart path { fill: none; stroke-width: 8 }
.series-1 { stroke: var(--series-1) } .series-2 { stroke: var(--series-2) } .series-3 { stroke: var(--series-3) }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; margin: 0 0 .4rem; padding: 0;
  font-size: .8rem }
.legend svg { width: .7rem; height: .7rem; margin-right: .35rem }
.chart details { margin-top: .5rem } .chart summary { cursor: pointer; color: var(--soft); font-size: .8rem }
`

const NARROW = `
@media (max-width: 52rem) {
  .frame { grid-template-columns: minmax(0, 1fr); grid-template-rows: auto 1fr }
  .side { display: none }
  .menu { display: block; border-bottom: 1px solid var(--line); background: var(--tint); padding: .5rem 1rem }
  .menu summary { cursor: pointer; font-weight: 600 }
  .menu summary span { font-weight: 400; color: var(--soft) }
  .menu nav { padding: .4rem 0 }
  .menu a { padding: .55rem .65rem }
  .top { padding: .5rem 1rem }
  main { padding: 1rem 1rem 2.5rem }
}
@media (max-width: 34rem) {
  .facts > div { grid-template-columns: minmax(0, 1fr) }
  .facts { gap: .5rem }
  .scroll { max-height: none }
  thead th { position: static }
  .field, .field.search { flex: 1 1 100%; max-width: none }
  input[type="number"] { width: 100% }
  .submit { margin-top: 0 }
  .button { min-height: 2.4rem }
  .button.small { min-height: 2rem }
}
`

const PRINT = `
@media print {
  .top, .side, .menu, .skip, .filters, .pager, .contents, .tabs { display: none }
  .frame { display: block }
  main { padding: 0; max-width: none }
  .scroll { overflow: visible; max-height: none; border: 0 }
  thead th { position: static }
  a { color: inherit }
}
`
