// The stylesheet of all pages: light and dark mode, and small screens. A file, so that pages need no inline styles.
import type { Palette } from './palette.js'

/** Colours of buttons and links without a configured colour. */
const DEFAULT_COLOURS = `
:root { --accent: #1f5fbf; --button: #1f5fbf; --button-ink: #fff }
@media (prefers-color-scheme: dark) { :root { --accent: #7db0ff; --button: #7db0ff; --button-ink: #0c1626 } }
`

export function stylesheet(palette: Palette | undefined): string {
  return `${accentColours(palette)}${RULES}`
}

/** Colours of buttons and links, as custom properties. */
export function accentColours(palette: Palette | undefined): string {
  return palette === undefined ? DEFAULT_COLOURS : colours(palette)
}

function colours({ button, buttonInk, accent, accentDark }: Palette): string {
  return `
:root { --accent: ${accent}; --button: ${button}; --button-ink: ${buttonInk} }
@media (prefers-color-scheme: dark) { :root { --accent: ${accentDark} } }
`
}

const RULES = `
:root { color-scheme: light dark; --ink: #1a2230; --soft: #55607a; --paper: #f3f5f9; --card: #fff; --line: #d9dfea;
  --bad: #a3262c; --good: #1c7a4b }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ecf5; --soft: #a2aec5; --paper: #10151e; --card: #1a2130;
  --line: #303a4f; --bad: #ff9a9a; --good: #7fdcae } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.25rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif }
main { width: 100%; max-width: 34rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1.75rem; overflow-wrap: anywhere }
header { display: flex; align-items: center; gap: .6rem; font-size: .85rem; letter-spacing: .04em; color: var(--soft);
  margin-bottom: 1rem; font-weight: 600 }
header img { display: block; max-height: 2.5rem; max-width: 9rem }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .5rem }
h2 { font-size: 1rem; margin: 1.5rem 0 .4rem }
p { margin: .5rem 0 }
.soft { color: var(--soft); font-size: .9rem }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem }
.button { font: inherit; font-weight: 600; display: inline-block; padding: .6rem 1.1rem; border-radius: .5rem; border:
  1px solid var(--accent); background: var(--button); color: var(--button-ink); text-decoration: none; cursor: pointer }
.button.plain { background: transparent; color: var(--accent) }
.button:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: 1rem 0 }
dt { color: var(--soft) }
dd { margin: 0 }
ul { list-style: none; margin: 0; padding: 0 }
li { padding: .5rem 0; border-top: 1px solid var(--line) }
li strong { display: block }
.apps a { display: flex; align-items: center; gap: .75rem; text-decoration: none; font-weight: 600 }
.apps img { width: 2rem; height: 2rem; object-fit: contain; flex: none }
.apps .soft { display: block; font-weight: 400 }
code { font: .85em/1.4 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace }
.tag { display: inline-block; padding: .05rem .55rem; margin-right: .35rem; border-radius: 1rem; border: 1px solid
  currentColor; font-size: .8rem }
.yes { color: var(--good) } .bad { color: var(--bad) }
a { color: var(--accent) }
@media (max-width: 28rem) { main { padding: 1.25rem } dl { grid-template-columns: 1fr; gap: 0 } dt { margin-top: .5rem
  } .button { width: 100%; text-align: center } .actions form { width: 100% } }
`
