// The proxy's files, made of those that are shipped in config/proxies: hosts, addresses and certificate filled in, and
// the application's part once for each application.
/* eslint-disable no-template-curly-in-string -- the variables of the shipped files */
import { readFileSync } from 'node:fs'
import type { Answers, Application, Proxy } from './answers.js'

/** By the path below the folder of the configuration. */
export type WrittenFiles = Readonly<Record<string, string>>

const SHIPPED = new URL('../../config/proxies/', import.meta.url)
/** Where Gatehouse listens (configuration.ts). */
const GATEWAY = '127.0.0.1:4180'
const HEADER = '# Written by "gatehouse init" from config/proxies, where the choices in this file are explained.\n'

interface Site {
  readonly authHost: string
  /** At which browsers reach every host. */
  readonly port: string
  readonly applications: readonly Application[]
  readonly certificate: string | undefined
  readonly key: string | undefined
}

const MAKERS: Readonly<Record<Proxy, (site: Site) => WrittenFiles>> = {
  nginx,
  caddy,
  haproxy,
  traefik,
  envoy,
  none: () => ({}),
}

export function proxyFiles({ proxy, publicUrl, applications, certificate, certificateKey }: Answers): WrittenFiles {
  const { hostname, port } = new URL(publicUrl)
  return MAKERS[proxy]({ authHost: hostname, port: port || '443', applications, certificate, key: certificateKey })
}

/** Where the proxy expects the certificate, unless it was given. Caddy gets one by itself. */
export function certificateOf(
  { proxy, publicUrl, certificate, certificateKey }: Pick<
    Answers,
    'proxy' | 'publicUrl' | 'certificate' | 'certificateKey'
  >,
) {
  const host = new URL(publicUrl).hostname
  const usual = {
    nginx: [`/etc/letsencrypt/live/${host}/fullchain.pem`, `/etc/letsencrypt/live/${host}/privkey.pem`],
    haproxy: [`/etc/haproxy/certs/${host}.pem`, undefined],
    traefik: ['/etc/traefik/cert.pem', '/etc/traefik/key.pem'],
    envoy: ['/etc/envoy/cert.pem', '/etc/envoy/key.pem'],
    caddy: [undefined, undefined],
    none: [undefined, undefined],
  }[proxy]
  return { certificate: certificate ?? usual[0], key: certificateKey ?? usual[1] }
}

const shipped = (name: string): string => readFileSync(new URL(name, SHIPPED), 'utf8')

/** A shipped file that does not have the text where it is expected is a mistake of this program. */
function replaceAll(text: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((whole, [from, to]) => {
    if (!whole.includes(from)) throw new Error(`config/proxies has changed: ${from} is missing`)
    return whole.split(from).join(to)
  }, text)
}

/** The part from `start` up to and without `end`, made once for each application. */
function perApplication(
  text: string,
  start: string,
  end: string,
  { applications }: Site,
  make: (part: string, application: Application, index: number) => string,
): string {
  const from = text.indexOf(start)
  const to = text.indexOf(end, from + start.length)
  if (from === -1 || to === -1) throw new Error(`config/proxies has changed: ${start} is missing`)
  const part = text.slice(from, to)
  const made = applications.map((application, index) => make(part, application, index)).join('')
  return `${text.slice(0, from)}${made}${text.slice(to)}`
}

/** Without the comment at its beginning, which describes what to replace. */
const withoutHead = (text: string): string => `${HEADER}${text.slice(text.search(/^[^#\s]/m))}`

function nginx(site: Site): WrittenFiles {
  const { certificate, key } = certificateOf(wanted('nginx', site))
  const named = perApplication(
    withoutHead(shipped('nginx/site.conf.template')),
    'server {\n    listen ${GATEHOUSE_LISTEN};\n    server_name ${GATEHOUSE_APP_HOST};',
    'server {\n    listen',
    site,
    (part, { host, upstream }) =>
      replaceAll(part, {
        '${GATEHOUSE_APP_HOST}': host,
        '${GATEHOUSE_APP_UPSTREAM}': upstream,
      }),
  )
  const conf = replaceAll(named, {
    '${GATEHOUSE_LISTEN}': `${site.port} ssl`,
    '${GATEHOUSE_AUTH_HOST}': site.authHost,
    '${GATEHOUSE_PORT}': site.port,
    '${GATEHOUSE_CERTIFICATE}': String(certificate),
    '${GATEHOUSE_CERTIFICATE_KEY}': String(key),
    '${GATEHOUSE_UPSTREAM}': GATEWAY,
  })
  const included = ['http', 'server', 'location', 'pages'].map((part) => `gatehouse-${part}.conf`)
  return {
    'nginx/gatehouse.conf': conf,
    ...Object.fromEntries(included.map((name) => [`nginx/gatehouse/${name}`, shipped(`nginx/${name}`)])),
  }
}

function caddy(site: Site): WrittenFiles {
  const at = site.port === '443' ? '' : `:${site.port}`
  const named = perApplication(
    withoutHead(shipped('Caddyfile')),
    '{$GATEHOUSE_APP_SITE} {\n',
    '{$GATEHOUSE_AUTH_SITE} {\n',
    site,
    (part, { host, upstream }) =>
      replaceAll(part, {
        '{$GATEHOUSE_APP_SITE}': `https://${host}${at}`,
        '{$GATEHOUSE_APP_UPSTREAM}': upstream,
      }),
  )
  const { certificate, key } = site
  const tls = certificate === undefined ? '' : `\ttls ${certificate} ${key ?? certificate}\n`
  return {
    'caddy/Caddyfile': replaceAll(named, {
      '\tdefault_bind {$GATEHOUSE_BIND:0.0.0.0}\n': '',
      '{$GATEHOUSE_AUTO_HTTPS:ignore_loaded_certs}': 'ignore_loaded_certs',
      '\t{$GATEHOUSE_TLS}\n': tls,
      '{$GATEHOUSE_PORT:443}': site.port,
      '{$GATEHOUSE_AUTH_SITE}': `https://${site.authHost}${at}`,
      '{$GATEHOUSE_UPSTREAM}': GATEWAY,
      '{$GATEHOUSE_OTHER_SITES:https://}': `https://${at}`,
    }),
  }
}

function haproxy(site: Site): WrittenFiles {
  const { certificate } = certificateOf(wanted('haproxy', site))
  const { applications, authHost, port } = site
  const backend = (index: number) => index === 0 ? 'application' : `application_${index + 1}`
  const acls = applications.map(({ host }) => `    acl application req.fhdr(host) -i "${host}" "${host}:${port}"\n`)
    .join('')
  const chosen = applications.flatMap(({ host }, index) =>
    index === 0 ? [] : [
      `    use_backend ${backend(index)} if { req.fhdr(host) -i "${host}" "${host}:${port}" }\n`,
    ]
  ).join('')
  const text = replaceAll(withoutHead(shipped('haproxy.cfg')), {
    '    acl application req.fhdr(host) -i "${GATEHOUSE_APP_HOST}" "${GATEHOUSE_APP_HOST}:${GATEHOUSE_PORT-443}"\n':
      acls,
    '    use_backend gatehouse if gatehouse_pages\n': `    use_backend gatehouse if gatehouse_pages\n${chosen}`,
    'backend application\n    server application "${GATEHOUSE_APP_UPSTREAM}"\n': applications.map((
      { upstream },
      index,
    ) => `backend ${backend(index)}\n    server application "${upstream}"\n`).join('\n'),
    '"${GATEHOUSE_LUA}"': '/etc/haproxy/gatehouse.lua',
    '"${GATEHOUSE_BIND[*]}"': `:${port} ssl crt ${certificate} alpn h2,http/1.1`,
    '${GATEHOUSE_AUTH_HOST}': authHost,
    '${GATEHOUSE_PORT-443}': port,
    '${GATEHOUSE_UPSTREAM}': GATEWAY,
  })
  const lua = replaceAll(shipped('gatehouse.lua'), {
    'os.getenv("GATEHOUSE_UPSTREAM")': `"${GATEWAY}"`,
    'os.getenv("GATEHOUSE_PORT") or "443"': `"${port}"`,
  })
  return { 'haproxy/haproxy.cfg': text, 'haproxy/gatehouse.lua': lua }
}

function traefik(site: Site): WrittenFiles {
  const { certificate, key } = certificateOf(wanted('traefik', site))
  const name = (index: number) => `application-${index + 1}`
  const routers = perApplication(
    withoutHead(shipped('traefik.yml')),
    '    wiki:\n      rule:',
    '    gatehouse:\n      rule:',
    site,
    (part, { host }, index) =>
      replaceAll(part, {
        'wiki.example.com': host,
        '    wiki:\n': `    ${name(index)}:\n`,
        'service: wiki\n': `service: ${name(index)}\n`,
      }),
  )
  const services = perApplication(
    routers,
    '    wiki:\n      loadBalancer:',
    '    gatehouse:\n      loadBalancer:',
    site,
    (part, { upstream }, index) =>
      replaceAll(part, {
        '    wiki:\n': `    ${name(index)}:\n`,
        'http://wiki:8080': `http://${upstream}`,
      }),
  )
  const dynamic = replaceAll(services, {
    'auth.example.com': site.authHost,
    'http://gatehouse:4180': `http://${GATEWAY}`,
    'X-Forwarded-Port: "443"': `X-Forwarded-Port: "${site.port}"`,
  })
  const tls = `tls:\n  certificates:\n    - { certFile: ${certificate}, keyFile: ${key} }\n`
  return {
    'traefik/traefik.yml': `${dynamic}${tls}`,
    'traefik/traefik-static.yml': replaceAll(withoutHead(shipped('traefik-static.yml')), {
      'address: ":443"': `address: ":${site.port}"`,
    }),
  }
}

function envoy(site: Site): WrittenFiles {
  const { certificate, key } = certificateOf(wanted('envoy', site))
  const name = (index: number) => index === 0 ? 'application' : `application-${index + 1}`
  const hosts = perApplication(
    withoutHead(shipped('envoy.yaml')),
    '                    - name: application\n',
    "                    # Gatehouse's own pages are not asked about",
    site,
    (part, { host }, index) =>
      replaceAll(part, {
        'wiki.example.com': host,
        'name: application\n': `name: ${name(index)}\n`,
        'cluster: application,': `cluster: ${name(index)},`,
      }),
  )
  const clusters = perApplication(
    hosts,
    '    - name: application\n      type: STRICT_DNS\n',
    '# More connections than this are refused.',
    site,
    (part, { upstream }, index) => {
      const { hostname, port } = new URL(`http://${upstream}`)
      return replaceAll(part, {
        'name: application\n': `name: ${name(index)}\n`,
        'cluster_name: application,': `cluster_name: ${name(index)},`,
        'address: wiki, port_value: 8080': `address: "${hostname.replace(/[[\]]/g, '')}", port_value: ${port || '80'}`,
      })
    },
  )
  const [address = '', port = ''] = GATEWAY.split(':')
  return {
    'envoy/envoy.yaml': replaceAll(clusters, {
      'auth.example.com': site.authHost,
      'address: gatehouse, port_value: 4180': `address: ${address}, port_value: ${port}`,
      'http://gatehouse:4180': `http://${GATEWAY}`,
      'port_value: 443': `port_value: ${site.port}`,
      '"x-forwarded-port", "443"': `"x-forwarded-port", "${site.port}"`,
      '/etc/envoy/cert.pem': String(certificate),
      '/etc/envoy/key.pem': String(key),
    }),
  }
}

function wanted(proxy: Proxy, { authHost, certificate, key }: Site): Parameters<typeof certificateOf>[0] {
  return { proxy, publicUrl: `https://${authHost}`, certificate, certificateKey: key }
}
