// The tables of error codes against the committed page docs/errors.md, and the properties of an error.
import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  COMMAND_FAILURES,
  FAILURES,
  GatehouseError,
  LOGIN_FAILURES,
  RETRY_WITH_NEW_SIGN_IN,
  START_FAILURES,
  type ErrorCode,
} from '../../src/core/errors.js'

t.test('the codes of logins, commands and starts, and of second sign-ins, are the documented ones', async (t) => {
  const rows = [...readFileSync('docs/errors.md', 'utf8').matchAll(/^\| `(\w+)` \| (\d+)( again)? \| .* \| (.*) \|$/gm)]
  const codesWith = (holds: (places: readonly string[], again: boolean) => boolean) =>
    rows.filter(([, , , again, places = '']) => holds(places.split(', '), again !== undefined)).map(([, code]) => code)
  t.strictSame(codesWith(() => true).sort(), Object.keys(FAILURES).sort())
  t.strictSame([...LOGIN_FAILURES].sort(), codesWith((places) => places.includes('login')).sort())
  t.strictSame([...COMMAND_FAILURES].sort(), codesWith((places) => places.includes('command')).sort())
  t.strictSame([...START_FAILURES].sort(), codesWith((places) => places.includes('start')).sort())
  t.strictSame([...RETRY_WITH_NEW_SIGN_IN].sort(), codesWith((_, again) => again).sort())
  for (const [, code = '', status] of rows) t.equal(FAILURES[code as ErrorCode].status, Number(status), code)
})

t.test('an error has the status and the sentence of its code, and what is given besides', async (t) => {
  const { sentence } = FAILURES.not_mapped
  const plain = new GatehouseError('not_mapped')
  const { name, code, status, message, remedy, facts } = plain
  t.strictSame({ name, code, status, message, sentence: plain.sentence, remedy, facts }, {
    name: 'GatehouseError',
    code: 'not_mapped',
    status: 403,
    message: sentence,
    sentence,
    remedy: undefined,
    facts: {},
  })
  t.equal(Object.hasOwn(plain, 'cause'), false, 'no cause, rather than an undefined one')
  const cause = new TypeError('oops')
  const given = { cause, sentence: 'No.', detail: 'the detail', remedy: 'the remedy', facts: { step: 'x' } }
  const full = new GatehouseError('step_failed', given)
  t.strictSame(
    { sentence: full.sentence, detail: full.message, remedy: full.remedy, facts: full.facts },
    { sentence: 'No.', detail: 'the detail', remedy: 'the remedy', facts: { step: 'x' } },
  )
  t.equal(full.cause, cause)
})
