// The mutation guards. An entry of test/guards/*.json has a name and a change: `find` and `replace`. A marker in the
// source, `// guard: NAME[, NAME]`, is the place of the change, at the end of its line or on a line of its own above;
// what has no marker (shipped files, Python, scripts) has its file in the entry. A marker in a test file,
// `// proves: NAME[, NAME]` above a test, is the test that must fail.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { testsIn } from './test-titles.mjs'

const LISTS = 'test/guards'
/** From a marker to its `find`: farther down is another place that has the same text. */
const MOST_LINES = 20

/** @returns the complete guards by name, and a sentence for each one that is not complete */
export function readGuards(root = '.') {
  const entries = readEntries(root)
  const markers = groupByName(readMarkers(root))
  const proofs = groupByName(readProofs(root))
  const known = groupByName(entries)
  const problems = [
    ...[...known].filter(([, same]) => same.length > 1).map(([name, same]) =>
      `${name}: ${same.length} entries in ${same.map(({ list }) => list).join(' and ')}, but a name is unique`
    ),
    ...withoutEntry(markers, known, 'guard'),
    ...withoutEntry(proofs, known, 'proves'),
  ]
  const guards = new Map()
  for (const entry of entries) {
    const marked = markers.get(entry.name) ?? []
    const proved = proofs.get(entry.name) ?? []
    const found = [...placeProblems(entry, marked), ...proofProblems(entry, proved)]
    problems.push(...found)
    if (found.length > 0) continue
    const { file = marked[0].file } = entry
    const [{ file: test, titles }] = proved
    guards.set(entry.name, { ...entry, file, marked: marked.length > 0, test, titles })
  }
  return { guards, problems }
}

function readEntries(root) {
  return readdirSync(join(root, LISTS)).flatMap((name) => {
    const list = `${LISTS}/${name}`
    return JSON.parse(readFileSync(join(root, list), 'utf8')).map((entry) => ({ ...entry, list }))
  })
}

function readMarkers(root) {
  return typeScriptFiles(root, 'src').flatMap(({ file, text }) =>
    markersIn(text).map((marker) => ({ ...marker, file, place: `${file}:${marker.line}` }))
  )
}

function readProofs(root) {
  return typeScriptFiles(root, 'test').flatMap(({ file, text }) => {
    if (!/^ *\/\/ proves:/m.test(text)) return []
    const above = testsIn(text, file).flatMap(({ titles, proves }) => proves.map((name) => ({ name, titles })))
    const written = text.split('\n').flatMap((line, index) =>
      (/^ *\/\/ proves: ?(.*)$/.exec(line)?.[1].split(', ') ?? []).map((name) => ({ name, line: index + 1 }))
    )
    return written.map(({ name, line }) => {
      const { titles } = above.find((each) => each.name === name) ?? {}
      return { name, file, titles, place: `${file}:${line}` }
    })
  })
}

function typeScriptFiles(root, folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ file: relative(root, path), text: readFileSync(path, 'utf8') }))
}

function groupByName(list) {
  const groups = new Map()
  for (const each of list) groups.set(each.name, [...groups.get(each.name) ?? [], each])
  return groups
}

function withoutEntry(markers, known, word) {
  return [...markers].filter(([name]) => !known.has(name)).flatMap(([name, places]) =>
    places.map(({ place }) => `${place}: "// ${word}: ${name}" has no entry in ${LISTS}`)
  )
}

function placeProblems({ name, list, file }, marked) {
  const places = marked.map(({ place }) => place).join(' and ')
  if (file !== undefined) {
    return marked.length === 0 ? [] : [`${name}: marked at ${places}, and ${list} gives a file: remove one of them`]
  }
  if (marked.length === 0) return [`${name}: no line of src is marked "// guard: ${name}", and ${list} gives no file`]
  if (marked.length > 1) return [`${name}: marked at ${places}, but a guard has one place`]
  const due = listOf(marked[0].file)
  return list === due ? [] : [`${name}: marked at ${places}, so its entry belongs in ${due}, not in ${list}`]
}

/** The list is named after the folder of src; `src` is that of the files at its top. */
function listOf(file) {
  const [top, folder, ...below] = file.split('/')
  return `${LISTS}/${below.length === 0 ? top : folder}.json`
}

function proofProblems({ name }, proved) {
  if (proved.length === 0) return [`${name}: no test has "// proves: ${name}" above it`]
  const places = proved.map(({ place }) => place).join(' and ')
  if (proved.length > 1) return [`${name}: ${places} prove it, but one test does`]
  const [{ place, titles }] = proved
  return titles === undefined ? [`${place}: below "// proves: ${name}" is no test with a literal title`] : []
}

/** Each name with its line, and the offset at which the search for its `find` begins. */
export function markersIn(text) {
  let at = 0
  return text.split('\n').flatMap((line, index) => {
    const from = at
    at += line.length + 1
    const [, names] = /\/\/ guards?: ?(.*)$/.exec(line) ?? []
    return names === undefined ? [] : names.split(', ').map((name) => ({ name, line: index + 1, from }))
  })
}

/** @returns the text with the guard's change, or undefined where `find` is not at its place */
export function mutate({ name, find, replace, marked }, text) {
  if (!marked) {
    const [before, after, ...more] = text.split(find)
    return after === undefined || more.length > 0 ? undefined : `${before}${replace}${after}`
  }
  const marker = markersIn(text).find((each) => each.name === name)
  const found = marker && findFrom(text, marker.from, find)
  if (found === undefined) return undefined
  const [start, end] = found
  return `${text.slice(0, start)}${replace}${text.slice(end)}`
}

/** The layout does not count: neither white space nor a comma before a closing bracket nor a marker between. */
function findFrom(text, from, find) {
  const code = text.replace(/\/\/ guards?:.*$/gm, (marker) => ' '.repeat(marker.length))
  const pieces = find.match(/\w+|[^\w\s]/gu) ?? []
  const pattern = new RegExp(pieces.map(pieceOfPattern).join('\\s*'), 'gu')
  pattern.lastIndex = from
  const match = pattern.exec(code)
  if (match === null || code.slice(from, match.index).split('\n').length > MOST_LINES) return undefined
  return [match.index, pattern.lastIndex]
}

function pieceOfPattern(piece, index) {
  if (/\w/.test(piece)) return `\\b${piece}\\b`
  const literal = piece.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&')
  return index > 0 && /[)\]}]/.test(piece) ? `,?\\s*${literal}` : literal
}
