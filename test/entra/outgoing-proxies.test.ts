// The proxy variables as people write them: without a scheme, with `*` among other hosts, and wrong.
import t, { type Test } from 'tap'
import fc from 'fast-check'
import type { GatehouseError } from '../../src/core/errors.js'
import { outgoingProxies } from '../../src/core/outgoing-proxies.js'
import { createHttpClient } from '../../src/entra/http-client.js'
import { setProxies, startTrap } from './helper.js'

type Proxies = Parameters<typeof setProxies>[1]

/** Where a request arrives: at the server itself, or at the proxy. */
async function way(t: Test, proxies: (proxy: string) => Proxies): Promise<string> {
  const [server, proxy] = [await startTrap(t), await startTrap(t)]
  setProxies(t, proxies(new URL(proxy.url).host))
  const http = createHttpClient()
  t.teardown(() => http.close())
  const signal = AbortSignal.timeout(5_000)
  await http.send({ url: `${server.url}/`, method: 'GET', headers: {}, signal }).catch(() => {})
  return `${server.arrived.length} direct, ${proxy.arrived.length} through the proxy`
}

const DIRECT = '1 direct, 0 through the proxy'
const PROXIED = '0 direct, 1 through the proxy'

// proves: adv-proxy-without-scheme
t.test('an address without a scheme is one of http, as for curl', async (t) => {
  t.equal(await way(t, (proxy) => ({ HTTP_PROXY: proxy })), PROXIED)
  t.equal(await way(t, (proxy) => ({ HTTP_PROXY: ` http://${proxy} ` })), PROXIED)
  const expected = { httpProxy: '', httpsProxy: 'http://proxy:3128', noProxy: '' }
  t.strictSame(outgoingProxies({ HTTPS_PROXY: 'proxy:3128' }), expected)
  t.equal(outgoingProxies({ https_proxy: 'user:pass@proxy:3128' }).httpsProxy, 'http://user:pass@proxy:3128')
  const both = outgoingProxies({ https_proxy: '', HTTPS_PROXY: 'proxy:3128' })
  t.equal(both.httpsProxy, '', 'lower case comes first, even empty')
})

t.test('a scheme is one at the beginning alone, in any case, and of HTTP or HTTPS', async (t) => {
  const table = {
    'http://proxy:3128': 'http://proxy:3128',
    'https://proxy:3128': 'https://proxy:3128',
    'HTTPS://proxy:3128': 'HTTPS://proxy:3128',
    'proxy:3128/http://other': 'http://proxy:3128/http://other',
    'proxy': 'http://proxy',
    '': '',
  }
  for (const [value, httpProxy] of Object.entries(table)) {
    t.strictSame(outgoingProxies({ HTTP_PROXY: value }), { httpProxy, httpsProxy: '', noProxy: '' }, value)
  }
})

// proves: adv-no-proxy-star
t.test('a * in NO_PROXY means no proxy, wherever it stands', async (t) => {
  for (const NO_PROXY of ['*', 'localhost,*', '*,localhost', ' localhost , * ', 'localhost *']) {
    t.equal(await way(t, (proxy) => ({ HTTP_PROXY: proxy, NO_PROXY })), DIRECT, NO_PROXY)
  }
  for (const NO_PROXY of ['', 'localhost', '*.example.com']) {
    t.equal(await way(t, (proxy) => ({ HTTP_PROXY: proxy, NO_PROXY })), PROXIED, NO_PROXY)
  }
  const host = fc.constantFrom('localhost', '.example.com', '127.0.0.1:8080')
  fc.assert(fc.property(fc.array(host), fc.nat(3), (hosts, at) => {
    const withStar = [...hosts.slice(0, at), '*', ...hosts.slice(at)].join(',')
    const [star, none] = [withStar, hosts.join(',')].map((NO_PROXY) => outgoingProxies({ NO_PROXY }).noProxy)
    return star === '*' && none !== '*'
  }))
})

// proves: adv-proxy-named
t.test('an address that is none is an error that names the variable, and not what is in it', async (t) => {
  const wrong = [
    'socks5://secret@proxy:1080',
    'ftp://secret@proxy',
    'http://',
    'http://secret@proxy:99999',
    'se cret',
    'secret:port',
  ]
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy']) {
    for (const value of wrong) {
      try {
        outgoingProxies({ [name]: value })
        t.fail(`${name}=${value} was taken`)
      } catch (error) {
        const { code, message, remedy } = error as GatehouseError
        const expected = { code: 'proxy_unusable', message: name, remedy: `${name}=http://HOST:PORT` }
        t.match({ code, message, remedy }, expected, value)
        t.notMatch(`${message} ${remedy}`, 'secret')
      }
    }
  }
  setProxies(t, { HTTPS_PROXY: 'socks5://proxy:1080' })
  t.throws(() => createHttpClient(), { code: 'proxy_unusable' }, 'nothing starts without the proxy that was asked for')
})
