// Module hooks that run TypeScript: each file is compiled once, without a type check, and the JavaScript is kept under
// the hash of its content in node_modules/.cache. A test's process loads the compiler only for what has changed.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { version } = require('typescript/package.json')
const CHECKOUT = new URL('..', import.meta.url).href
const CACHE = fileURLToPath(new URL('../node_modules/.cache/gatehouse/modules', import.meta.url))
/** Other checkouts may share node_modules: what is not of this one goes when it was not used for so long. */
const KEPT_MS = 7 * 24 * 3600_000

function keyOf(path, text) {
  return createHash('sha256').update(`${version}\0${basename(path)}\0${text}`).digest('hex')
}

function compile(path, text) {
  const ts = require('typescript')
  const { outputText, sourceMapText } = ts.transpileModule(text, {
    fileName: basename(path),
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      isolatedModules: true,
      sourceMap: true,
      inlineSources: true,
    },
  })
  const map = Buffer.from(sourceMapText).toString('base64')
  const place = `//# sourceMappingURL=data:application/json;base64,${map}\n`
  return outputText.replace(/\/\/# sourceMappingURL=\S+\s*$/, place)
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** @returns JavaScript with its source map inside */
export function compiled(path) {
  const text = readFileSync(path, 'utf8')
  const kept = join(CACHE, `${keyOf(path, text)}.js`)
  const before = readIfThere(kept)
  if (before !== undefined) return before
  const code = compile(path, text)
  try {
    mkdirSync(CACHE, { recursive: true })
    writeFileSync(`${kept}.${process.pid}`, code)
    renameSync(`${kept}.${process.pid}`, kept)
  } catch {} // a read-only checkout: it is compiled again the next time
  return code
}

/** Compiles ahead whatever these folders have, and removes what was kept of earlier versions. */
export function compileFolders(folders) {
  const current = new Set()
  for (const folder of folders) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/(?<!\.d)\.ts$/.test(entry.name)) continue
      const path = join(entry.parentPath, entry.name)
      compiled(path)
      current.add(`${keyOf(path, readFileSync(path, 'utf8'))}.js`)
    }
  }
  if (!existsSync(CACHE)) return
  for (const name of readdirSync(CACHE)) {
    const path = join(CACHE, name)
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    if (!current.has(name) && age > KEPT_MS) rmSync(path, { force: true })
  }
}

/** Imports name the compiled file, `./x.js`; here it is `./x.ts`. */
export async function resolve(specifier, context, next) {
  if (/^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts')) {
    const url = new URL(`${specifier.slice(0, -3)}.ts`, context.parentURL)
    if (existsSync(url)) return { url: url.href, format: 'module', shortCircuit: true }
  }
  return next(specifier, context)
}

export async function load(url, context, next) {
  if (!url.endsWith('.ts') || !url.startsWith(CHECKOUT) || url.includes('/node_modules/')) return next(url, context)
  return { format: 'module', source: compiled(fileURLToPath(url)), shortCircuit: true }
}
