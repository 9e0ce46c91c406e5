// What operators must know and no program can do for them stands in the shipped files and guides: the sentences, and
// the lines of samples, on which an installation depends.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { startTestGateway } from './helpers/gateway.js'

interface Ingress {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: { readonly rules: readonly { readonly http: { readonly paths: readonly { path: string }[] } }[] }
}
interface Access {
  readonly access: { readonly default: string, readonly rules: readonly object[] }
}
interface Labels {
  readonly services: { readonly gatehouse: { readonly labels: Readonly<Record<string, string>> } }
}
type Middlewares = Readonly<Record<string, Readonly<Record<string, object>>>>
interface Traefik {
  readonly http: { readonly middlewares: Middlewares }
}

const read = (file: string): string => readFileSync(file, 'utf8')
/** The text as it is read: comment marks, emphasis and line ends apart. */
const prose = (file: string): string => read(file).replace(/\n *# ?/g, ' ').replace(/\*\*/g, '').replace(/\s+/g, ' ')

function tells(t: Test, file: string, ...sentences: readonly string[]): void {
  for (const sentence of sentences) t.ok(prose(file).includes(sentence), `${file}: ${sentence}`)
}

// proves: adv-ingress-two-hosts, adv-ingress-traefik
t.test('the file for ingress-nginx names the limits of the controller and the needs of Traefik', async (t) => {
  tells(
    t,
    'config/proxies/ingress-nginx.yaml',
    'ingress-nginx was retired in March 2026',
    'it serves the host of the request line and asks about the Host header, and no annotation cures it',
    'Do not use it with access rules that differ by host, or with a rule `allow: anyone`',
    'with access rules server.authRequestHeaders must be `forwarded`',
    'Set entryPoints.websecure.http.aliasHeadersStrategy: delete',
    'no rules with ports here',
    'from 1.12 on also annotations-risk-level: Critical',
    '1.12.0 to 1.12.5, 1.13.0 and 1.13.1 refuses a dot in a path of type Exact',
  )
})

// proves: adv-ingress-keys
t.test('the keys have an Ingress of their own: no other path has a dot, which some controllers refuse', async (t) => {
  const paths = new Map(
    parseAllDocuments(read('config/proxies/ingress-nginx.yaml'))
      .map((document) => document.toJS() as Ingress)
      .filter(({ kind }) => kind === 'Ingress')
      .map((
        { metadata, spec },
      ) => [metadata.name, spec.rules.flatMap(({ http }) => http.paths.map(({ path }) => path))]),
  )
  t.strictSame(paths.get('gatehouse-keys'), ['/.well-known/jwks.json'])
  paths.delete('gatehouse-keys')
  t.equal(paths.size, 2)
  for (const path of [...paths.values()].flat()) t.notMatch(path, /\./)
})

// proves: adv-traefik-labels-bounded
t.test("both of Traefik's files bound the answer of Gatehouse", async (t) => {
  const { forwardAuth } = (parse(read('config/proxies/traefik.yml')) as Traefik).http.middlewares.gatehouse ?? {}
  const { labels } = (parse(read('config/proxies/traefik-labels.yml')) as Labels).services.gatehouse
  t.match(forwardAuth, { maxResponseBodySize: 262_144 })
  t.equal(labels['traefik.http.middlewares.gatehouse.forwardauth.maxresponsebodysize'], '262144')
})

// proves: adv-nginx-own-lines
t.test("where lines of one's own may stand in nginx", async (t) => {
  tells(
    t,
    'config/proxies/nginx/gatehouse-location.conf',
    'Lines of your own may stand beside the `include` of this file',
    'those of a level above (`http`, `server`) do not count where a location has lines itself',
  )
  tells(t, 'docs/deployment.md', '`proxy_set_header` lines of your own may stand beside the `include`')
})

// proves: adv-traefik-empty-500
t.test('what a person sees without Gatehouse', async (t) => {
  tells(
    t,
    'docs/deployment.md',
    'If Gatehouse does not answer, Traefik sends an empty 500, immediately or after 30 seconds',
    'Envoy hides every 5xx of Gatehouse behind a 503 of its own',
  )
})

// proves: adv-balancer-asks
t.test('a load balancer that can only ask the serving port asks the sign-in page, as often as it wants', async (t) => {
  tells(t, 'docs/deployment.md', 'A load balancer that can only ask this port asks `/oauth2/sign_in`')
  const gateway = await startTestGateway(t, { config: { server: { rateLimit: 5 } } })
  const answers = Array.from({ length: 80 }, () => gateway.ask('/oauth2/sign_in'))
  t.strictSame([...new Set((await Promise.all(answers)).map(({ status }) => status))], [200])
})

// proves: adv-fragment-reported
t.test('the guide for people who come from oauth2-proxy says what is kept of an address and what is not', async (t) => {
  tells(
    t,
    'docs/from-oauth2-proxy.md',
    'The part behind `#` is not sent to any server.',
    'lost when Microsoft shows a page',
    'Such an `rd` is left out and logged; the session ends all the same.',
    'An address of up to 6,144 characters comes back after the sign-in.',
  )
})

// proves: adv-sample-denies
t.test('a sample with access rules denies what no rule names', async (t) => {
  const [, sample = ''] = /```yaml\n(access:\n[\s\S]*?)```/.exec(read('docs/forward-auth.md')) ?? []
  const { access } = parse(sample) as Access
  t.ok(access.rules.length > 1)
  t.equal(access.default, 'deny')
  t.match(read('config/gatehouse.example.yaml'), /^ {2}default: \w+ +# .*beside rules write deny/m)
})

// proves: adv-grafana-address
t.test("Grafana's guide never looks a user up by an address", async (t) => {
  const text = read('docs/applications/grafana.md')
  const blocks = [...text.matchAll(/```ini\n([\s\S]*?)```/g)].map(([, block = '']) => block)
  t.ok(blocks.length > 1)
  for (const block of blocks) t.notMatch(block, /^email_claim|^headers = .*Email:/m)
  tells(t, 'docs/applications/grafana.md', 'Hence no `email_claim`', 'No `Email:Remote-Email`')
})
