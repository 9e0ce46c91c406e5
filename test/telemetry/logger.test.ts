// The log as a terminal or a log viewer reads it: nothing that a client sends is a control character there.
import fc from 'fast-check'
import t from 'tap'
import { createLogger } from '../../src/telemetry/logger.js'

type Format = 'json' | 'text'

function written(format: Format, facts: object, message: string): string {
  let text = ''
  createLogger({ level: 'info', format }, {
    write: (line) => {
      text += line
    },
  }).info(facts, message)
  return text
}

// C0, DEL and C1, the separators that some readers take for the end of a line, characters that reorder text.
const CONTROLS = /(?!\n)[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u

// proves: adv-log-controls, adv-log-controls-text
t.test('no control character reaches the log, as JSON or as text', async (t) => {
  const path = '/\u009b31m\x1b[2J\u0085\u2028\u2029\u202e\x7f\ufeffJörg 日本'
  const error = Object.assign(new Error(`broken ${path}\r\nfaked line`), { code: path })
  for (const format of ['json', 'text'] as const) {
    const text = written(format, { path, list: [path], err: error, [path]: path }, `refused ${path}\nfaked line`)
    t.notMatch(text, CONTROLS, format)
    t.match(text, /\\u009b31m/, format)
    t.match(text, /Jörg 日本/, format)
    t.notMatch(text, /^faked line/m, format)
  }
  const line = JSON.parse(written('json', { path }, 'refused')) as { path: string }
  t.equal(line.path, path, 'a reader of JSON gets the value as it was')
})

t.test('whatever the string is, JSON stays the same value and holds no control character', async () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 })
  fc.assert(fc.property(text, text, (path, message) => {
    const line = written('json', { path }, message)
    const read = JSON.parse(line) as { path: string, msg: string }
    return !CONTROLS.test(line) && read.path === path && read.msg === message && line.indexOf('\n') === line.length - 1
  }))
  fc.assert(fc.property(text, text, (path, message) => !CONTROLS.test(written('text', { path }, message))))
})

// proves: security-log-fields
t.test('of an error that a library made, the log keeps name, code, message and stack', async (t) => {
  const request = { headers: { cookie: 'gatehouse_session=planted', authorization: 'Bearer planted' }, body: 'planted' }
  const cause = Object.assign(new Error('the connection broke'), { options: request, config: request })
  const error = Object.assign(new Error('the request failed', { cause }), {
    code: 'EBROKEN',
    request,
    response: request,
  })
  for (const format of ['json', 'text'] as const) {
    const text = written(format, { err: error, error, req: request, res: request }, 'refused')
    t.match(text, /EBROKEN/, format)
    t.match(text, /the connection broke/, format)
    t.notMatch(text, /planted/, format)
  }
})
