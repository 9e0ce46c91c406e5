// Every shipped proxy file on the real program, in each version: what is served is what was judged. What each proxy
// answers is docs/proxies.md, which this suite compares, or writes (GATEHOUSE_WRITE_PROXIES=1).
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { PROXIES } from '../helpers/proxies-all.js'
import { skip } from '../helpers/programs.js'
import { FORBIDDEN, SIGN_IN, UNAUTHORIZED } from './matrix/answers.js'
import { BODIES } from './matrix/bodies.js'
import { FAILURES, FROZEN } from './matrix/failures.js'
import { HOP_BY_HOP } from './matrix/hop-by-hop.js'
import { HOSTS, WHOLE_URL } from './matrix/hosts.js'
import { HTTP2 } from './matrix/http2.js'
import { NAMES } from './matrix/names.js'
import { PATHS } from './matrix/paths.js'
import { QUESTION } from './matrix/question.js'
import { render } from './matrix/render.js'
import { createMatrix } from './matrix/running.js'
import { WEBSOCKET } from './matrix/websocket.js'

const PAGE = 'docs/proxies.md'

const matrix = createMatrix(t)

// proves: adv-matrix-whole-url
t.test('a whole URL in the request line', async (t) => await matrix.run(t, WHOLE_URL))
// proves: adv-matrix-port
t.test('spellings of Host', async (t) => await matrix.run(t, HOSTS))
t.test('HTTP/2', async (t) => await matrix.run(t, HTTP2))
// proves: adv-matrix-names
t.test('names that are removed', async (t) => await matrix.run(t, NAMES))
// proves: adv-matrix-connection
t.test('hop-by-hop headers', async (t) => await matrix.run(t, HOP_BY_HOP))
t.test('spellings of paths', async (t) => await matrix.run(t, PATHS))
// proves: adv-matrix-question
t.test('the authorisation endpoint from outside', async (t) => await matrix.run(t, QUESTION))
t.test('sign-in', async (t) => await matrix.run(t, SIGN_IN))
t.test('401', async (t) => await matrix.run(t, UNAUTHORIZED))
t.test('403', async (t) => await matrix.run(t, FORBIDDEN))
t.test('WebSocket', async (t) => await matrix.run(t, WEBSOCKET))
t.test('bodies and cookies', async (t) => await matrix.run(t, BODIES))
// proves: adv-matrix-frozen
t.test('503 from a frozen gateway', async (t) => await matrix.runTogether(t, FROZEN))
t.test('503', async (t) => await matrix.run(t, FAILURES))

t.test('docs/proxies.md has the results of this run', async (t) => {
  if (!matrix.complete()) return skip(t, 'not every proxy is there, or not every column was run')
  const shown = render(matrix.cells, PROXIES)
  if (process.env.GATEHOUSE_WRITE_PROXIES) writeFileSync(PAGE, shown)
  else t.equal(shown, readFileSync(PAGE, 'utf8'), 'GATEHOUSE_WRITE_PROXIES=1 writes it anew')
})
