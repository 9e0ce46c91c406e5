// The proxies' files say the same: one list of headers, generated into each of them, and no name in it forgotten.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { aliases, FAMILIES, FORWARDED, IDENTITY, NAMES, SET, STRIPPED } from '../scripts/proxy-headers.mjs'
import { proxyFiles } from '../scripts/generate-proxy-files.mjs'
import { IDENTITY_HEADERS } from '../src/core/identity-headers.js'

const read = (file: string): string => readFileSync(`config/proxies/${file}`, 'utf8')
const FORWARD_AUTH = 'traefik.http.middlewares.gatehouse.forwardauth.authresponseheadersregex'

interface ForwardAuth {
  readonly forwardAuth: { readonly authResponseHeadersRegex: string }
}
interface Traefik {
  readonly http: { readonly middlewares: { readonly gatehouse: ForwardAuth } }
}
interface Labels {
  readonly services: { readonly gatehouse: { readonly labels: Readonly<Record<string, string>> } }
}
interface Ingress {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> }
}

/** By applications and frameworks, each where their documentation or source names it. */
const KNOWN = [
  'Remote-User',
  'Remote-User-Email',
  'Remote-User-Group',
  'Remote-User-First-Name',
  'Remote-User-Last-Name', // NetBox
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Groups',
  'X-Forwarded-Preferred-Username', // oauth2-proxy
  'X-Forwarded-Access-Token',
  'X-Auth-Request-Access-Token',
  'X-Auth-Request-Redirect',
  'X-Auth-Request-Email-Verified',
  'X-Original-URL',
  'X-Original-Method',
  'X-Rewrite-URL',
  'X-Real-IP',
  'Client-IP',
  'Forwarded',
  'Proxy',
  'X-Forwarded-Prefix',
  'X-Forwarded-Server',
  'X-Forwarded-Uri',
  'X-Forwarded-Method',
  'X-Gatehouse-Error',
]

// proves: adv-proxy-list-current
t.test('the generated parts are current', async (t) => {
  for (const [path, text] of Object.entries(proxyFiles())) {
    t.equal(readFileSync(path, 'utf8'), text, `${path}: npm run generate:proxies`)
  }
})

t.test('the list has every identity header of Gatehouse and no header that a proxy sets itself', async (t) => {
  for (const name of IDENTITY_HEADERS) t.ok(IDENTITY.includes(name), name)
  for (const name of SET) t.notOk(STRIPPED.includes(name), name)
  const all = [...IDENTITY, ...SET, ...STRIPPED].map((name) => name.toLowerCase())
  t.equal(new Set(all).size, all.length, 'no name twice')
})

// proves: adv-netbox-names
t.test('the list has the names that applications are known to read', async (t) => {
  const listed = new Set([...IDENTITY, ...STRIPPED].map((name) => name.toLowerCase()))
  for (const name of KNOWN) t.ok(listed.has(name.toLowerCase()), name)
})

t.test('every file sets the identity headers and removes the others', async (t) => {
  const location = read('nginx/gatehouse-location.conf')
  for (const name of IDENTITY) t.ok(location.includes(`\nproxy_set_header ${name} $gatehouse_`), `nginx: ${name}`)
  for (const name of STRIPPED) t.ok(location.includes(`\nproxy_set_header ${name} "";`), `nginx: ${name}`)
  for (const file of ['Caddyfile', 'gatehouse.lua', 'envoy.yaml', 'ingress-nginx.yaml']) {
    for (const name of IDENTITY) t.ok(read(file).toLowerCase().includes(name.toLowerCase()), `${file}: ${name}`)
  }
  for (const name of [...Object.keys(FAMILIES).map((family) => `${family}*`), ...FORWARDED, ...NAMES]) {
    t.ok(read('Caddyfile').includes(`\t\trequest_header -${name}\n`), `Caddy: ${name}`)
  }
  for (const name of [...Object.keys(FAMILIES), 'X-Forwarded', ...NAMES]) {
    t.ok(read('haproxy.cfg').includes(aliases(name)), `HAProxy: ${name}`)
    t.ok(read('envoy.yaml').includes(`"${name.toLowerCase()}"`), `Envoy: ${name}`)
  }
})

// proves: adv-traefik-aliases
t.test("Traefik's expression removes every name in every spelling, and nothing that stays", async (t) => {
  const file = (parse(read('traefik.yml')) as Traefik).http.middlewares.gatehouse.forwardAuth.authResponseHeadersRegex
  const label = (parse(read('traefik-labels.yml')) as Labels).services.gatehouse.labels[FORWARD_AUTH] ?? ''
  t.equal(label.replaceAll('$$', '$'), file, 'the label says the same')
  t.match(file, /^\(\?i\)\^/)
  const expression = new RegExp(file.slice('(?i)'.length), 'i')
  for (const name of [...IDENTITY, ...STRIPPED]) {
    for (const odd of "-_.!#$%&'*+^`|~") t.match(name.replaceAll('-', () => odd), expression, `${name} with ${odd}`)
  }
  for (const name of SET) {
    t.notMatch(name, expression)
    t.match(name.replace('-', '_'), expression)
    t.match(name.replace(/-(?=\w+$)/, '.'), expression)
  }
  for (const name of ['Host', 'Cookie', 'Accept', 'Authorization', 'X-Requested-With', 'Proxy-Authorization']) {
    t.notMatch(name, expression)
  }
})

t.test('the annotation of ingress-nginx has all names but those that the controller sets', async (t) => {
  const annotation = 'nginx.ingress.kubernetes.io/auth-response-headers'
  const lists = parseAllDocuments(read('ingress-nginx.yaml'))
    .map((document) => (document.toJS() as Ingress).metadata.annotations?.[annotation])
    .filter((list) => list !== undefined)
  t.equal(lists.length, 1)
  const names = lists[0]?.split(',') ?? []
  for (const name of names) t.match(name, /^[A-Za-z-]+$/)
  for (const name of [...IDENTITY, ...STRIPPED]) t.ok(names.includes(name), name)
  for (const name of SET) t.notOk(names.includes(name), name)
})

t.test('every file sends the port as a constant, and every nginx server refuses two hosts', async (t) => {
  for (const file of ['Caddyfile', 'haproxy.cfg', 'gatehouse.lua', 'traefik.yml', 'traefik-labels.yml', 'envoy.yaml']) {
    t.match(read(file), /x-forwarded-port/i, file)
  }
  for (const file of ['gatehouse-server.conf', 'gatehouse-pages.conf']) {
    t.match(read(`nginx/${file}`), /^if \(\$gatehouse_two_hosts\) \{ return 421; \}$/m, file)
    t.match(read(`nginx/${file}`), /X-Forwarded-Port \$gatehouse_port;/, file)
  }
  for (const file of ['nginx/site.conf.template', '../demo/nginx.conf.template']) {
    const servers = read(file).split(/^server \{/m).slice(1)
    for (const server of servers) t.match(server, /gatehouse-(server|pages)\.conf|return 421/, file)
  }
})

// proves: adv-guide-two-hosts
t.test("a guide's nginx snippet that sets the request to authorise also refuses two hosts", async (t) => {
  const applications = ['applications/netbox.md', 'applications/grafana.md', 'applications/django.md']
  const guides = ['from-oauth2-proxy.md', 'forward-auth.md', 'deployment.md', ...applications]
  for (const guide of guides) {
    const text = readFileSync(`docs/${guide}`, 'utf8')
    if (!/proxy_set_header X-Original-URL|auth_request \//.test(text)) continue
    t.match(text, /if \(\$gatehouse_two_hosts\) \{ return 421; \}/, guide)
    t.match(text, /map "\$host \$http_host" \$gatehouse_two_hosts/, guide)
    t.match(text, /X-Forwarded-Port 443/, guide)
  }
})
