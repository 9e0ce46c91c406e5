// The committed OpenAPI document and its reference page are those of the endpoints, and a linter finds nothing in them.
import { readFileSync } from 'node:fs'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import t from 'tap'
import { exampleOf } from '../../../src/docs/api-example.js'
import { apiReference } from '../../../src/docs/api-reference.js'
import { apiDocument } from '../../../src/http/admin/api/api-document.js'
import { readDocument } from './helper.js'

const HOW = 'npm run generate:api'

t.test('docs/openapi.json and docs/api.md are freshly generated', async (t) => {
  const document = await apiDocument()
  t.equal(readDocument().text, `${JSON.stringify(document, null, 2)}\n`, HOW)
  t.equal(readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8'), apiReference(document), HOW)
})

t.test('the linter finds nothing in the document', async (t) => {
  const config = await createConfig({ extends: ['recommended-strict'] })
  const problems = await lintFromString({ source: readDocument().text, absoluteRef: 'openapi.json', config })
  t.strictSame(problems.map(({ ruleId, message, location: [at] }) => `${ruleId}: ${message} ${at?.pointer}`), [])
})

t.test('the linter finds a mistake', async (t) => {
  const source = readDocument().text.replace('"operationId": "getMe"', '"operationId": "get me"')
  const config = await createConfig({ extends: ['recommended-strict'] })
  t.ok((await lintFromString({ source, absoluteRef: 'openapi.json', config })).length > 0)
})

t.test('every operation has a summary, a permission, one tag, and all of its errors', async (t) => {
  const { content, operations } = readDocument()
  const tags = (content['tags'] as { name: string }[]).map(({ name }) => name)
  t.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length)
  for (const { operationId, permission, method, path, responses } of operations) {
    t.match(permission, /^gatehouse\.[a-z]+$/, operationId)
    const paths = content['paths'] as Record<string, Record<string, { summary: string, tags: string[] }>>
    const { summary, tags: own } = paths[path]?.[method.toLowerCase()] ?? { summary: '', tags: [] }
    t.match(summary, /^[A-Z].*[^.]$/, operationId)
    t.ok(own.length === 1 && tags.includes(own[0] ?? ''), operationId)
    for (const status of ['200', '400', '401', '403', '404', '429', '500', '503']) {
      t.ok(responses[status], `${operationId} ${status}`)
    }
  }
})

t.test('an example has the types that its schema declares', async (t) => {
  t.strictSame(
    exampleOf({
      type: 'object',
      properties: {
        list: { type: 'array', items: { type: 'integer', minimum: 3 } },
        at: { type: 'string', format: 'date-time' },
        none: { anyOf: [{ type: 'null' }, { type: 'boolean' }] },
        word: { enum: ['a', 'b'] },
      },
    }),
    { list: [3], at: '2026-11-28T08:30:00.000Z', none: true, word: 'a' },
  )
})
