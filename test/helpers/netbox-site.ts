// NetBox behind nginx and Gatehouse, as docs/applications/netbox.md says: its blocks, with addresses of the test.
import { readFileSync } from 'node:fs'
import type { Test } from 'tap'
import { parse } from 'yaml'
import { GROUP_IDS } from '../../src/demo/people.js'
import { createGroupStore } from '../../src/store/groups.js'
import { freePorts, MAPPING, registration, startTestGateway, type TestGateway } from './gateway.js'
import { startNetBox, type NetBox } from './netbox.js'
import { filledIn, runNginx } from './proxies.js'

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

export interface NetBoxSite {
  /** NetBox and Gatehouse as browsers reach them, and NetBox for its local administrator. */
  readonly app: string
  readonly auth: string
  readonly local: string
  readonly netbox: NetBox
  readonly site: TestGateway
}

/** @returns undefined where something is not installed; the test is skipped then */
export async function startNetBoxSite(t: Test): Promise<NetBoxSite | undefined> {
  const [appPort = 0, authPort = 0, localPort = 0] = await freePorts(3)
  const [app, auth] = [`http://127.0.0.1:${appPort}`, `http://127.0.0.1:${authPort}`]
  const settings = guideBlock(/^```python file=configuration\.py\n([\s\S]*?)^```$/m)
  const netbox = await startNetBox(t, settings.replaceAll(AUTH, auth).replaceAll(HOST, '127.0.0.1'))
  if (netbox === undefined) return undefined
  const site = await startTestGateway(t, { config: gatewayConfig(auth), app: registration(auth), groups: [] })
  const names = [...MAPPING.flatMap(({ groups }) => groups), 'Büro', 'Gone', ...TO_EMPTY.groups]
  const definitions = names.map((name) => ({ name, permissions: ['netbox.view'] }))
  await createGroupStore(site.gateway.database).apply(definitions, { actor: 'test', dryRun: false })
  const listening = (site.gateway.app.server.address() as { port: number }).port
  const inServer = guideBlock(/^```nginx file=server\n([\s\S]*?)^```$/m)
    .replace('/opt/netbox/netbox/static/', `${netbox.staticFolder}/`)
  const nginx = filledIn('config/demo/nginx.conf.template', {
    DEMO_APP_LISTEN: `127.0.0.1:${appPort}`, DEMO_AUTH_LISTEN: `127.0.0.1:${authPort}`,
    DEMO_GATEWAY_UPSTREAM: `127.0.0.1:${listening}`, DEMO_APP_UPSTREAM: `127.0.0.1:${netbox.port}`,
  })
  const withGuide = nginx.replace(/^(\s*)location \/ \{/m, (location) => `${inServer}${location}`)
  t.not(withGuide, nginx)
  const forLocals = guideBlock(/^```nginx\n(server \{[\s\S]*?)^```$/m).replace('127.0.0.1:8002', `127.0.0.1:${localPort}`)
    .replace('127.0.0.1:8001', `127.0.0.1:${netbox.port}`).replace('/opt/netbox/netbox/static/', `${netbox.staticFolder}/`)
  if (await runNginx(t, `${MIME_TYPES}\n${withGuide}\n${forLocals}`, appPort) === undefined) return undefined
  return { app, auth, local: `http://127.0.0.1:${localPort}`, netbox, site }
}

export function guideBlock(pattern: RegExp): string {
  const [, text = ''] = pattern.exec(GUIDE) ?? []
  if (text === '') throw new Error(`the guide has no ${pattern.source}`)
  return text
}

/** The guide's access rules, and the mapping of the demo's groups. */
function gatewayConfig(auth: string): Record<string, unknown> {
  const rules = guideBlock(/^```yaml\n(access:\n[\s\S]*?)^```$/m)
  if (!rules.includes(HOST)) throw new Error(`the guide's rules do not name ${HOST}`)
  return {
    ...parse(rules.replaceAll(HOST, '127.0.0.1').replace('10.20.0.0/16', `${AUTOMATION}/32`)) as Record<string, unknown>,
    server: { publicUrl: auth },
    groupMapping: [...MAPPING, { entraGroup: GROUP_IDS.berlinTeam, groups: ['Büro', 'Gone'] }, TO_EMPTY],
  }
}
