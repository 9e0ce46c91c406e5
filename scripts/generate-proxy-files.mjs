// Writes the lists of scripts/proxy-headers.mjs into the marked regions of the files: npm run generate:proxies.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { aliases, FAMILIES, FORWARDED, IDENTITY, NAMES, SET, STRIPPED } from './proxy-headers.mjs'

const ROOT = new URL('../', import.meta.url)
const WIDTH = 118
const families = Object.keys(FAMILIES)

/** Words in lines of at most this width, each line with the indent. */
function wrapped(words, indent, separator = ' ', width = WIDTH) {
  const lines = []
  for (const word of words) {
    const longer = `${lines.at(-1)}${separator}${word}`
    if (lines.length > 0 && longer.length < width) lines[lines.length - 1] = longer
    else lines.push(`${indent}${word}`)
  }
  return lines
}

/** A double-quoted scalar of YAML over several lines: a backslash before the break, and no blank comes of it. */
function yamlText(key, parts, indent, separator) {
  const lines = wrapped(parts, `${indent}  `, separator)
  const last = lines.length - 1
  return [`${indent}${key}: "\\`, ...lines.map((line, at) => at === last ? `${line}"` : `${line}${separator}\\`)]
}

const nginx = () => STRIPPED.map((name) => `proxy_set_header ${name} "";`)

function caddy() {
  const odd = [..."_.!#$%&'+^`|~*"].map((character) => `*${character}*`)
  const patterns = [...odd, ...families.map((family) => `${family}*`), ...FORWARDED, ...NAMES]
  return patterns.map((pattern) => `\t\trequest_header -${pattern}`)
}

/** copy_headers of Caddy, the table of HAProxy's Lua, Envoy's list, the annotation of ingress-nginx. */
const caddyIdentity = () => IDENTITY.map((name) => `\t\t\t\t${name}`)
const luaIdentity = () => wrapped(IDENTITY.map((name) => `"${name.toLowerCase()}",`), '  ')
const envoyIdentity = () => IDENTITY.map((name) => `                              - { exact: ${name.toLowerCase()} }`)

function haproxy() {
  // In single quotes: in double ones $ begins a variable.
  const rule = (expression) => `    http-request del-header '(?i)^[^a-z0-9]*${expression}' -m reg`
  const groups = wrapped(NAMES.map(aliases), '', '|', 70).map((some) => rule(`(${some})$`))
  return [...[...families, 'X-Forwarded'].map((family) => rule(`${aliases(family)}([^a-z0-9].*)?$`)), ...groups]
}

function envoy() {
  const indent = ' '.repeat(26)
  const table = (name, words) => [`${indent}local ${name} = {`, ...wrapped(words, `${indent}  `), `${indent}}`]
  return [
    ...table('families', [...families, 'X-Forwarded'].map((family) => `"${family.toLowerCase()}",`)),
    ...table('names', NAMES.map((name) => `["${name.toLowerCase()}"] = true,`)),
  ]
}

/** One expression for names to remove and to copy. Go's know no lookahead, so the names that stay are not in it. */
function traefikParts() {
  const forwarded = 'x[^a-z0-9]+forwarded'
  const odd = ['x[^a-z0-9]+forwarded.*[^a-z0-9-].*', 'x[^a-z0-9]*[^a-z0-9-][^a-z0-9]*forwarded.*']
  const beginnings = families.map((family) => `${aliases(family)}([^a-z0-9].*)?`)
  const known = FORWARDED.map((name) => aliases(name.replace(/^X-Forwarded-?/, ''))).filter((rest) => rest !== '')
  const members = wrapped(known, '', '|', 70).map((some) => `${forwarded}[^a-z0-9]+(${some})`)
  const all = [...beginnings, forwarded, ...members, ...odd, ...NAMES.map(aliases)]
  all[0] = `(?i)^[^a-z0-9]*(${all[0]}`
  all[all.length - 1] += ')$'
  return all
}

const traefik = () => yamlText('authResponseHeadersRegex', traefikParts(), ' '.repeat(8), '|')
const LABEL = 'traefik.http.middlewares.gatehouse.forwardauth.authresponseheadersregex'
const labels = () => yamlText(LABEL, traefikParts().map((part) => part.replaceAll('$', '$$$$')), ' '.repeat(6), '|')

const ANNOTATION = 'nginx.ingress.kubernetes.io/auth-response-headers'
const ingress = () => yamlText(ANNOTATION, [...IDENTITY, ...STRIPPED], ' '.repeat(4), ',')

function documentation() {
  const item = (title, names) => {
    const words = `- **${title}:** ${names.map((name) => `\`${name}\``).join(', ')}`.split(' ')
    return wrapped(words, '').map((line, at) => at === 0 ? line : `  ${line}`)
  }
  return [
    ...item('from the answer, whatever the client sent', IDENTITY),
    ...item('from what the proxy knows itself', SET),
    ...item('removed, with everything that begins so', [...families, 'X-Forwarded']),
    ...item('removed', NAMES),
  ]
}

const FILES = {
  'config/proxies/nginx/gatehouse-location.conf': { stripped: nginx },
  'config/proxies/Caddyfile': { stripped: caddy, identity: caddyIdentity },
  'config/proxies/haproxy.cfg': { stripped: haproxy },
  'config/proxies/gatehouse.lua': { identity: luaIdentity },
  'config/proxies/envoy.yaml': { stripped: envoy, identity: envoyIdentity },
  'config/proxies/traefik.yml': { stripped: traefik },
  'config/proxies/traefik-labels.yml': { stripped: labels },
  'config/proxies/ingress-nginx.yaml': { identity: ingress },
  'docs/forward-auth.md': { headers: documentation },
}

/** @returns the text with what stands between the two marks of a region replaced */
function withRegion(text, region, lines) {
  const [begin, end] = [`begin generated: ${region}`, `end generated: ${region}`]
  const all = text.split('\n')
  const [from, to] = [begin, end].map((mark) => all.findIndex((line) => line.includes(mark)))
  if (from === -1 || to <= from) throw new Error(`no region ${region}`)
  return [...all.slice(0, from + 1), ...lines, ...all.slice(to)].join('\n')
}

/** @returns every file as it should be, by its path from the root of the repository */
export function proxyFiles() {
  return Object.fromEntries(
    Object.entries(FILES).map(([path, regions]) => {
      let text = readFileSync(new URL(path, ROOT), 'utf8')
      for (const [region, lines] of Object.entries(regions)) text = withRegion(text, region, lines())
      return [path, text]
    }),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of Object.entries(proxyFiles())) writeFileSync(new URL(path, ROOT), text)
}
