// The claims request of a fresh sign-in.
import t from 'tap'
import { contextRequest } from '../../src/core/step-up.js'

const ACRS = { acrs: { essential: true, value: 'c1' } }

t.test('a context is asked for beside what was asked for otherwise', async (t) => {
  t.strictSame(JSON.parse(contextRequest('c1')), { id_token: ACRS })
  const graph = { access_token: { nbf: { essential: true, value: '1732000000' } } }
  t.strictSame(JSON.parse(contextRequest('c1', JSON.stringify(graph))), { ...graph, id_token: ACRS })
  const other = { id_token: { acrs: { essential: true, value: 'c9' }, given_name: null } }
  t.strictSame(JSON.parse(contextRequest('c1', JSON.stringify(other))), { id_token: { ...ACRS, given_name: null } })
  for (const odd of [null, [], 'x', 1]) {
    t.strictSame(JSON.parse(contextRequest('c1', JSON.stringify({ id_token: odd }))), { id_token: ACRS })
  }
})
