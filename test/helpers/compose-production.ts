// The surroundings of compose.production.yml in its test: the operator's configuration, secrets and next version, made
// by the commands of docs/deployment.md, and on the engine's host nginx with TLS, an application and the simulated
// Entra ID, which Gatehouse reaches at the address of its network's gateway.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { createServerIdentity } from '../../src/demo/entra/certificates.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS } from '../../src/demo/people.js'
import { installProgram, type Engine, type Outcome } from './compose.js'

export const CLIENT_SECRET = 'client-secret-for-compose-7Q~abc'
export const APPLICATION_URL = 'https://app.example.com/'
export const AUTH_URL = 'https://auth.example.com'
export const PRODUCTION_PORTS = [443, 4180, 8082, 9090]
/** `networks.internal` of the file: the host, as containers see it. */
export const HOST = '172.30.41.1'
const AROUND = ['around-entra', 'around-app', 'around-nginx']
const UPGRADE = 'upgrade_trial'

export interface Guide {
  readonly config: Record<string, Record<string, unknown>>
  readonly firstStart: string
  readonly upgrade: string
  readonly goingBack: string
}

export function readGuide(): Guide {
  const [, section = ''] = readFileSync('docs/deployment.md', 'utf8').split('\n## With Docker Compose\n')
  const chapter = section.split('\n## ')[0] ?? ''
  const blocks = (language: string) =>
    [...chapter.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(([, text = '']) => text)
  const [firstStart = '', upgrade = '', goingBack = ''] = blocks('sh')
  return { config: parse(blocks('yaml')[0] ?? '') as Guide['config'], firstStart, upgrade, goingBack }
}

/** The operator's own files, and programs that take the place of an editor, of git and of sudo. */
export function prepareOperator({ project, programs }: Engine, { config }: Guide): void {
  const entra = {
    ...config.entra,
    tenantId: DEMO_TENANT_ID,
    clientId: DEMO_CLIENT_ID,
    authorityHost: `http://${HOST}:8082`,
    graphUrl: `http://${HOST}:8083`,
    allowHttp: true,
  }
  const groupMapping = [{ entraGroup: GROUP_IDS.networkEngineers, groups: ['Network Engineers'], staff: true }]
  writeFileSync(join(project, 'config/gatehouse.yaml'), stringify({ ...config, entra, groupMapping }))
  const [before, after] = [join(programs, 'before'), join(programs, 'after')]
  for (const folder of [before, after]) cpSync(join(project, 'migrations'), folder, { recursive: true })
  addMigration(after)
  installProgram(programs, 'sudo', 'exec "$@"')
  installProgram(programs, 'editor', `printf %s '${CLIENT_SECRET}' >"$1"`)
  installProgram(
    programs,
    'git',
    `
case "$1" in pull) version='${after}' ;; checkout) version='${before}' ;; *) exit 1 ;; esac
rm -r migrations
cp -R "$version" migrations`,
  )
}

/** The next version: the same programs, and a migration more. */
function addMigration(folder: string): void {
  const path = join(folder, 'meta/_journal.json')
  const journal = JSON.parse(readFileSync(path, 'utf8')) as { entries: { idx: number, when: number, tag: string }[] }
  const last = journal.entries.at(-1)
  const next = { ...last, idx: journal.entries.length, when: (last?.when ?? 0) + 1, tag: `9999_${UPGRADE}` }
  writeFileSync(path, JSON.stringify({ ...journal, entries: [...journal.entries, next] }))
  writeFileSync(join(folder, `9999_${UPGRADE}.sql`), `CREATE TABLE "${UPGRADE}" ("id" integer);\n`)
}

/** @returns whether the migration of the next version has been applied */
export async function isUpgraded({ compose }: Engine): Promise<boolean> {
  const { output } = await compose(
    '-f',
    'compose.production.yml',
    'exec',
    '-T',
    'postgres',
    'psql',
    '-At',
    '-U',
    'gatehouse',
    'gatehouse',
    '-c',
    `select to_regclass('${UPGRADE}')`,
  )
  return output.trim() === UPGRADE
}

/** @returns the certificate authority of nginx, and what removes the containers */
export async function startAround({ project, docker }: Engine): Promise<{ ca: string, stop(): Promise<Outcome> }> {
  const { caPem, cert, key } = createServerIdentity([APPLICATION_URL, AUTH_URL].map((url) => new URL(url).hostname))
  const tls = join(project, 'tls')
  mkdirSync(tls)
  writeFileSync(join(tls, 'cert.pem'), cert)
  writeFileSync(join(tls, 'key.pem'), key)
  const start = async (name: string, settings: Record<string, string>, ...rest: string[]): Promise<void> => {
    const env = Object.entries(settings).flatMap(([key, value]) => ['--env', `${key}=${value}`])
    const options = ['--detach', '--no-healthcheck', '--network=host', '--name', name, ...env]
    const { status, output } = await docker('run', ...options, ...rest)
    if (status !== 0) throw new Error(output)
  }
  await start(
    'around-entra',
    {
      ENTRA_HOST: '0.0.0.0',
      ENTRA_ALLOW_OFF_LOOPBACK: 'true',
      ENTRA_PORT: '8082',
      ENTRA_GRAPH_PORT: '8083',
      ENTRA_PUBLIC_URL: `http://${HOST}:8082`,
      ENTRA_GRAPH_PUBLIC_URL: `http://${HOST}:8083`,
      ENTRA_REDIRECT_URIS: `${AUTH_URL}/oauth2/callback,${AUTH_URL}/oauth2/sign_in`,
      ENTRA_CLIENT_SECRET: CLIENT_SECRET,
    },
    '--entrypoint=node',
    'gatehouse-demo',
    'dist/demo/entra/main.js',
  )
  await start(
    'around-app',
    { DEMO_PUBLIC_URL: AUTH_URL },
    '--entrypoint=node',
    'gatehouse-demo',
    'dist/demo/downstream-main.js',
  )
  await start(
    'around-nginx',
    {
      GATEHOUSE_APP_HOST: 'app.example.com',
      GATEHOUSE_AUTH_HOST: 'auth.example.com',
      GATEHOUSE_PORT: '443',
      GATEHOUSE_LISTEN: '127.0.0.1:443 ssl http2',
      GATEHOUSE_CERTIFICATE: '/etc/nginx/tls/cert.pem',
      GATEHOUSE_CERTIFICATE_KEY: '/etc/nginx/tls/key.pem',
      GATEHOUSE_UPSTREAM: '127.0.0.1:4180',
      GATEHOUSE_APP_UPSTREAM: '127.0.0.1:9000',
      NGINX_ENVSUBST_FILTER: '^GATEHOUSE_',
    },
    '--volume',
    `${project}/config/proxies/nginx:/etc/nginx/gatehouse:ro`,
    '--volume',
    `${tls}:/etc/nginx/tls:ro`,
    '--volume',
    `${project}/config/proxies/nginx/site.conf.template:/etc/nginx/templates/site.conf.template:ro`,
    'nginx:stable',
  )
  const stop = async (): Promise<Outcome> => {
    rmSync(tls, { recursive: true })
    return await docker('rm', '--force', '--volumes', ...AROUND)
  }
  return { ca: caPem, stop }
}
