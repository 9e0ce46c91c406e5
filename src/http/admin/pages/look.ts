// What the console's pages look like at this moment: name, logo, and the addresses of stylesheet and script, which
// contain the hash of their content.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Theme } from '../../pages/theme.js'
import { CONSOLE_SCRIPT } from './script.js'
import { consoleStylesheet } from './stylesheet.js'

export interface ConsoleLook {
  readonly name: string
  readonly logo: string | undefined
  readonly stylesheet: string
  readonly script: string
  /** By path. */
  readonly files: ReadonlyMap<string, ConsoleFile>
}

export interface ConsoleFile {
  readonly type: string
  readonly body: string
}

export const CONSOLE_ASSETS = '/admin/assets/'

/** @returns the look of the theme in force; computed once for each theme */
export function createConsoleLook(theme: () => Theme): () => ConsoleLook {
  const script = `${readFileSync(createRequire(import.meta.url).resolve('htmx.org/dist/htmx.min.js'), 'utf8')}
${CONSOLE_SCRIPT}`
  let known: { readonly theme: Theme, readonly look: ConsoleLook } | undefined
  return () => {
    const current = theme()
    if (known?.theme !== current) known = { theme: current, look: lookOf(current, script) }
    return known.look
  }
}

function lookOf({ name, logo, palette }: Theme, script: string): ConsoleLook {
  const stylesheet = consoleStylesheet(palette)
  const stylesheetPath = pathOf(stylesheet, 'css')
  const scriptPath = pathOf(script, 'js')
  return {
    name,
    logo,
    stylesheet: stylesheetPath,
    script: scriptPath,
    files: new Map([
      [stylesheetPath, { type: 'text/css; charset=utf-8', body: stylesheet }],
      [scriptPath, { type: 'text/javascript; charset=utf-8', body: script }],
    ]),
  }
}

function pathOf(text: string, extension: string): string {
  return `${CONSOLE_ASSETS}${createHash('sha256').update(text).digest('hex').slice(0, 16)}.${extension}`
}
