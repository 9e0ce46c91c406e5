// The style of the demo's applications: light and dark; on a phone a header's value is below its name.
export const STYLE = `
:root { color-scheme: light dark; --ink: #1d2433; --soft: #5b667d; --line: #d8deea; --paper: #fbfcfe; --link: #1f5fbf }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf6; --soft: #a3aec4; --line: #323c51; --paper: #141924; --link: #7db0ff }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 46rem; margin: 0 auto; padding: 2rem 1.25rem; overflow-wrap: anywhere }
h1 { margin: .2rem 0 1rem }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem }
dt, .soft { color: var(--soft) }
dd { margin: 0 }
ul { padding-left: 1.2rem }
table { border-collapse: collapse; font: .82rem/1.4 ui-monospace, Menlo, Consolas, monospace; width: 100% }
th, td { text-align: left; border-top: 1px solid var(--line); padding: .25rem .5rem .25rem 0; vertical-align: top }
th { font-weight: 500; white-space: nowrap }
td { word-break: break-all }
a { color: var(--link) }
.links { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem }
@media (max-width: 36rem) {
  main { padding: 1.25rem }
  dl { grid-template-columns: 1fr; gap: 0 }
  dt { margin-top: .5rem }
  th, td { display: block; border: 0; padding: 0 }
  th { border-top: 1px solid var(--line); padding-top: .35rem; color: var(--soft); white-space: normal }
  td { padding-bottom: .35rem; min-height: 1.4em }
}
`
