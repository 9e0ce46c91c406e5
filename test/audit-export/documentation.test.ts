// The verification of a signature as docs/audit-export.md shows it, in Node and in Python, against real requests.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { createWebhook } from '../../src/audit-export/webhook.js'
import { webhookKey } from '../../src/core/webhook-signature.js'
import { startHttpReceiver } from '../helpers/audit-receivers.js'

const SECRET = `whsec_${Buffer.from('a key of the tests, of 32 bytes.').toString('base64')}`
const PAGE = readFileSync('docs/audit-export.md', 'utf8')

function example(language: string): string {
  const [, text] = new RegExp('```' + language + '\n(.*?)```', 's').exec(PAGE) ?? []
  if (text === undefined) throw new Error(`docs/audit-export.md has no ${language}`)
  return text
}

t.test('the examples accept what was sent, and nothing that was changed or is old', async (t) => {
  const receiver = await startHttpReceiver(t)
  const key = webhookKey(SECRET) ?? Buffer.alloc(0)
  const sent = async (age = 0) => {
    const now = () => Date.now() - age
    const webhook = createWebhook({ url: receiver.url, key, userAgent: 'x', now })
    const event = { id: '1', at: 'x', action: 'login', actor: 'login', userId: null, correlationId: null, detail: {} }
    await webhook.send([{ ...event, username: 'Zoë' }], new AbortController().signal)
    await webhook.close()
    const { headers, body } = receiver.requests.at(-1)!
    return { headers, body }
  }
  const genuine = await sent()
  const cases = [
    { name: 'as it was sent', ...genuine, accepted: true },
    { name: 'beside the signature of an older key', ...genuine, accepted: true },
    { name: 'another body', ...genuine, body: genuine.body.replace('login', 'logon'), accepted: false },
    { name: 'another id', ...genuine, headers: { ...genuine.headers, 'webhook-id': 'msg_x' }, accepted: false },
    { name: 'ten minutes old', ...await sent(600_000), accepted: false },
  ]
  const [, several] = cases
  several!.headers = {
    ...several!.headers,
    'webhook-signature': `v1,AAAA ${String(several!.headers['webhook-signature'])}`,
  }

  const directory = t.testdir({})
  writeFileSync(join(directory, 'verify.mjs'), example('js'))
  const { isGenuine } = await import(pathToFileURL(join(directory, 'verify.mjs')).href) as {
    isGenuine(headers: unknown, body: Buffer, secret: string): boolean
  }
  writeFileSync(join(directory, 'verify.py'), example('python'))
  const python = `
import json, sys
from verify import is_genuine
for case in json.load(sys.stdin):
    print(is_genuine(case["headers"], case["body"].encode(), ${JSON.stringify(SECRET)}))
`
  const input = JSON.stringify(cases)
  const answers = execFileSync('python3', ['-c', python], { cwd: directory, input, encoding: 'utf8' }).trim().split(
    '\n',
  )
  for (const [index, { name, headers, body, accepted }] of cases.entries()) {
    t.equal(isGenuine(headers, Buffer.from(body), SECRET), accepted, `Node: ${name}`)
    t.equal(answers[index], accepted ? 'True' : 'False', `Python: ${name}`)
  }
})
