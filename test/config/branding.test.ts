// What an operator writes about the pages, and what is said of it: every mistake with its place.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createConfigReloader } from '../../src/config/reloader.js'
import { loadConfig, type LoadedConfig } from '../../src/config/load.js'
import { problemsOf } from '../helpers/config-problems.js'

const PNG = Buffer.from('\x89PNG\r\n\x1a\n and more', 'latin1')
const SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'
const BASE = `server:
  publicUrl: https://auth.apps.test
  redirectDomains: [.apps.test]
entra:
  tenantId: 8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f
  clientId: b14a7505-96e9-4927-91e8-0601d0fc9caa
  clientSecret: aB8~client-secret-of-a-test-0123456789
database: { url: postgres://gatehouse@127.0.0.1/gatehouse }
session:
  secrets: [sixteen-random-bytes-0f1e2d3c4b5a69788796a5b4c3d2e1f0]
  cookieDomain: .apps.test
keys: { encryptionSecrets: [other-random-bytes-00112233445566778899aabbccddeeff] }
groupMapping:
  - { entraGroup: 1a36bed9-3bdc-4970-ab66-faf9704e0af4, label: Network team, superuser: true, staff: true }
`

const FILES: Readonly<Record<string, string | Buffer>> = {
  'logo.png': PNG,
  'logo.svg': `<?xml version="1.0"?>\n${SVG}`,
  'photo.jpg': Buffer.from('\xff\xd8\xff\xe0', 'latin1'),
  'icon.webp': Buffer.from('RIFF\x00\x00\x00\x00WEBPVP8 ', 'latin1'),
  'page.png': '<html><svg></svg></html>',
  'large.png': Buffer.concat([PNG, Buffer.alloc(256 * 1024)]),
}

function placeOf(t: Test): (text: string) => LoadedConfig {
  const directory = t.testdir({})
  for (const [name, content] of Object.entries(FILES)) writeFileSync(join(directory, name), content)
  mkdirSync(join(directory, 'folder'))
  return (text) => {
    writeFileSync(join(directory, 'gatehouse.yaml'), BASE + text, { mode: 0o600 })
    return loadConfig(join(directory, 'gatehouse.yaml'), { env: {} })
  }
}

t.test('the type of a picture follows from its content, not from its file name', async (t) => {
  const load = placeOf(t)
  const types = { 'logo.png': 'png', 'logo.svg': 'svg+xml', 'photo.jpg': 'jpeg', 'icon.webp': 'webp' }
  for (const [name, type] of Object.entries(types)) {
    const { config } = load(`branding: { logoFile: ${name} }`)
    t.match(config.images, [{ type: `image/${type}`, path: config.branding.logoFile }], name)
  }
  t.strictSame(load('').config.images, [])
})

// proves: adv-picture-type
t.test('every problem is reported with its place', async (t) => {
  const load = placeOf(t)
  const line = BASE.split('\n').length
  const cases: [text: string, code: string, column: number][] = [
    ['branding: { logoFile: none.png }', 'image_missing', 23],
    ['branding: { logoFile: folder }', 'image_directory', 23],
    ['branding: { logoFile: page.png }', 'image_type', 23],
    ['branding: { logoFile: large.png }', 'image_large', 23],
    ['branding: { color: blue }', 'color_invalid', 20],
    ['branding: { color: "#12345" }', 'color_invalid', 20],
    [`branding: { name: ${'x'.repeat(61)} }`, 'value_long', 19],
    ['branding: { colour: "#123456" }', 'key_unknown', 13],
    ['applications: [{ host: "*.apps.test", name: A }]', 'application_host_invalid', 24],
    ['applications: [{ host: "https://a.apps.test", name: A }]', 'application_host_invalid', 24],
    ['applications: [{ host: a.apps.test }]', 'key_missing', 16],
    ['applications: [{ host: a.apps.test, name: A, icon: none.svg }]', 'image_missing', 52],
    ['applications: [{ host: a.apps.test, name: A }, { host: A.apps.test, name: B }]', 'application_repeated', 56],
  ]
  for (const [text, code, column] of cases) {
    const found = problemsOf(() => load(text)).map((each) => [each.code, each.line, each.column])
    t.strictSame(found, [[code, line, column]], text)
  }
})

t.test('an application outside the cookie domain or the redirect domains is reported as a warning', async (t) => {
  const load = placeOf(t)
  const warned = (host: string) => load(`applications: [{ host: "${host}", name: A }]`).warnings.map(({ code }) => code)
  t.strictSame(warned('wiki.apps.test'), [])
  t.strictSame(warned('wiki.apps.test:8443'), ['application_not_returned_to'])
  t.strictSame(warned('wiki.other.test').sort(), ['application_not_returned_to', 'application_outside_cookie'])
})

t.test('a reload applies a changed picture, and replicas with the same picture publish the same hash', async (t) => {
  const load = placeOf(t)
  const text = 'branding: { name: Contoso, logoFile: logo.png }\napplications: [{ host: a.apps.test, name: A }]'
  const initial = load(text)
  const reports: unknown[] = []
  const reloader = createConfigReloader({
    initial,
    load: () => load(text),
    report: {
      refused: (problems) => reports.push(problems),
      applied: ({ changes, needRestart }) => reports.push({ changes, needRestart }),
      failed: (error) => reports.push(error),
      secretRotated: () => reports.push('secret'),
      unchanged: () => reports.push('unchanged'),
    },
  })
  t.teardown(reloader.close)
  await reloader.reload()
  t.strictSame(reports.splice(0), ['unchanged'])
  t.equal(load(text).hash, initial.hash)
  const path = initial.config.branding.logoFile ?? ''
  writeFileSync(path, Buffer.concat([PNG, Buffer.from('another')]))
  await reloader.reload()
  t.match(reports, [{ changes: [{ path: 'images' }, { path: 'images' }], needRestart: [] }])
  t.equal(reloader.current().images[0]?.content().toString('latin1').endsWith('another'), true)
  t.not(load(text).hash, initial.hash)
})
