// NetBox behind nginx and Gatehouse, as docs/applications/netbox.md says: its blocks, with addresses of the test.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { parse } from 'yaml'
import { createServerIdentity } from '../../src/demo/entra/certificates.js'
import { GROUP_IDS } from '../../src/demo/people.js'
import { createGroupAdmin } from './acts.js'
import { freePorts, MAPPING, registration, startTestGateway, type TestGateway } from './gateway.js'
import { startNetBox, type NetBox } from './netbox.js'
import { filledIn, folder, runNginx } from './proxies.js'

const GUIDE = readFileSync('docs/applications/netbox.md', 'utf8')
const AUTH = 'https://auth.example.com'
const HOST = 'netbox.example.com'
/** As the distribution's nginx.conf has it: a browser takes no style sheet that is text/plain. */
const MIME_TYPES = 'include /etc/nginx/mime.types;'
/** A client in the network that the guide's rule names. */
export const AUTOMATION = '127.0.0.2'
/** An Entra group that is mapped to a NetBox group without permissions. */
export const PROJECT = 'd0000000-0000-4000-8000-000000000001'
const TO_EMPTY = { entraGroup: PROJECT, groups: ['Empty'] }
/** Of the inner one of nested groups: a name beyond ASCII, and two that NetBox does not have. */
const INNER = { entraGroup: GROUP_IDS.berlinTeam, groups: ['Büro', 'Gone', 'Network_Engineers'] }

export interface NetBoxSite {
  /** NetBox and Gatehouse as browsers reach them, and NetBox for its local administrator. */
  readonly app: string
  readonly auth: string
  readonly local: string
  readonly netbox: NetBox
  readonly site: TestGateway
  /** nginx anew, with these lines in NetBox's location beside the `include` of gatehouse-location.conf. */
  restartNginx(inLocation: string): Promise<void>
}

export interface NetBoxSiteOptions {
  /** `false`: the guide's version that reads plain headers. */
  readonly plugin?: boolean
  /** site.conf.template with TLS and the guide's own host names, in place of the demo's file over http. */
  readonly tls?: boolean
}

interface Place {
  readonly app: string
  readonly auth: string
  readonly ports: { readonly app: number, readonly auth: number, readonly local: number }
  readonly tls: boolean
}

/** @returns undefined where something is not installed; the test is skipped then */
export async function startNetBoxSite(
  t: Test,
  { plugin = true, tls = false }: NetBoxSiteOptions = {},
): Promise<NetBoxSite | undefined> {
  const [appPort = 0, authPort = 0, localPort = 0] = await freePorts(3)
  const [app, auth] = tls
    ? [`https://${HOST}:${appPort}`, `${AUTH}:${appPort}`]
    : [`http://127.0.0.1:${appPort}`, `http://127.0.0.1:${authPort}`]
  const place: Place = { app, auth, tls, ports: { app: appPort, auth: authPort, local: localPort } }
  const site = await startTestGateway(t, { config: gatewayConfig(place), app: registration(auth), groups: [] })
  const gateway = `127.0.0.1:${(site.gateway.app.server.address() as { port: number }).port}`
  const netbox = await startNetBox(t, placed(plugin ? pluginSettings(tls, gateway) : HEADER_SETTINGS, place))
  if (netbox === undefined) return undefined
  const names = [...MAPPING.flatMap(({ groups }) => groups), ...INNER.groups, ...TO_EMPTY.groups]
  const definitions = names.map((name) => ({ name, permissions: ['netbox.view'] }))
  await createGroupAdmin(site.gateway.database).apply(definitions, { actor: 'test', dryRun: false })
  const template = tls ? siteFile(t, place, gateway, netbox) : demoFile(place, gateway, netbox)
  let nginx = await runNginx(t, nginxText(t, template, place, netbox), appPort)
  if (nginx === undefined) return undefined
  return {
    app,
    auth,
    local: `http://127.0.0.1:${localPort}`,
    netbox,
    site,
    restartNginx: async (inLocation) => {
      await nginx?.stop()
      nginx = await runNginx(t, nginxText(t, template, place, netbox, inLocation), appPort)
    },
  }
}

/** The guide's settings without the plugin. */
export const HEADER_SETTINGS = guideBlock(/^```python\n(REMOTE_AUTH_ENABLED = True[\s\S]*?)^```$/m)

/** Behind TLS of a private CA, NetBox fetches the keys from Gatehouse itself, as the guide allows. */
function pluginSettings(tls: boolean, gateway: string): string {
  const block = guideBlock(/^```python file=configuration\.py\n([\s\S]*?)^```$/m)
  return tls ? block.replace("'issuer'", `'jwks_url': 'http://${gateway}/.well-known/jwks.json', 'issuer'`) : block
}

/** The guide's addresses as those of the test. */
function placed(text: string, { auth, tls }: Place): string {
  const withAuth = text.replaceAll(AUTH, auth)
  return tls ? withAuth : withAuth.replaceAll(HOST, '127.0.0.1')
}

function demoFile({ ports }: Place, gateway: string, netbox: NetBox): string {
  return filledIn('config/demo/nginx.conf.template', {
    DEMO_APP_LISTEN: `127.0.0.1:${ports.app}`,
    DEMO_AUTH_LISTEN: `127.0.0.1:${ports.auth}`,
    DEMO_GATEWAY_UPSTREAM: gateway,
    DEMO_APP_UPSTREAM: `127.0.0.1:${netbox.port}`,
  })
}

function siteFile(t: Test, { ports }: Place, gateway: string, netbox: NetBox): string {
  const home = folder(t, 'netbox-tls')
  const [certificate, key] = [join(home, 'certificate.pem'), join(home, 'key.pem')]
  const identity = createServerIdentity([HOST, new URL(AUTH).hostname])
  writeFileSync(certificate, identity.cert)
  writeFileSync(key, identity.key, { mode: 0o600 })
  return filledIn('config/proxies/nginx/site.conf.template', {
    GATEHOUSE_LISTEN: `127.0.0.1:${ports.app} ssl http2`,
    GATEHOUSE_PORT: String(ports.app),
    GATEHOUSE_CERTIFICATE: certificate,
    GATEHOUSE_CERTIFICATE_KEY: key,
    GATEHOUSE_APP_HOST: HOST,
    GATEHOUSE_AUTH_HOST: new URL(AUTH).hostname,
    GATEHOUSE_UPSTREAM: gateway,
    GATEHOUSE_APP_UPSTREAM: `127.0.0.1:${netbox.port}`,
  })
}

/** The shipped file with the guide's lines for NetBox's server, and its server for the local administrator. */
function nginxText(t: Test, template: string, { ports }: Place, netbox: NetBox, inLocation = ''): string {
  const withStatic = (text: string) => text.replace('/opt/netbox/netbox/static/', `${netbox.staticFolder}/`)
  const inServer = withStatic(guideBlock(/^```nginx file=server\n([\s\S]*?)^```$/m))
  const withGuide = template.replace(/^(\s*)location \/ \{/m, (location) => `${inServer}${location}\n${inLocation}`)
  t.not(withGuide, template)
  const forLocals = withStatic(guideBlock(/^```nginx\n(server \{[\s\S]*?)^```$/m))
    .replace('127.0.0.1:8002', `127.0.0.1:${ports.local}`).replace('127.0.0.1:8001', `127.0.0.1:${netbox.port}`)
  return `${MIME_TYPES}\n${withGuide}\n${forLocals}`
}

export function guideBlock(pattern: RegExp): string {
  const [, text = ''] = pattern.exec(GUIDE) ?? []
  if (text === '') throw new Error(`the guide has no ${pattern.source}`)
  return text
}

/** The guide's access rules, and the mapping of the demo's groups. */
function gatewayConfig(place: Place): Record<string, unknown> {
  const rules = guideBlock(/^```yaml\n(access:\n[\s\S]*?)^```$/m)
  if (!rules.includes(HOST)) throw new Error(`the guide's rules do not name ${HOST}`)
  return {
    ...parse(placed(rules, place).replace('10.20.0.0/16', `${AUTOMATION}/32`)) as Record<string, unknown>,
    server: { publicUrl: place.auth, ...(place.tls ? { redirectDomains: ['.example.com:*'] } : {}) },
    ...(place.tls ? { session: { cookieDomain: 'example.com' } } : {}),
    groupMapping: [...MAPPING, INNER, TO_EMPTY],
  }
}
