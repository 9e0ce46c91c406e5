// A gateway with the console, and four people at its API: Sue (superuser), Sam (staff), Gus (helpdesk: one permission
// by a local group) and Nobody, who has no permission there.
import { readFileSync } from 'node:fs'
import { sql } from 'drizzle-orm'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Test } from 'tap'
import { request } from 'undici'
import { stringify } from 'yaml'
import { sessionIdHash } from '../../../src/core/session.js'
import { GROUP_IDS, PERSON_IDS } from '../../../src/demo/people.js'
import { createPolicyDeploys } from '../../../src/policy-deploys.js'
import { createGroupAdmin } from '../../helpers/acts.js'
import { giveAdminSession } from '../../helpers/admin.js'
import { createBrowser, type Browser } from '../../helpers/browser.js'
import { MAPPING, startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { until } from '../../helpers/until.js'

export const HELPDESK = 'Helpdesk'
const API = '/admin/api/v1'

export const PEOPLE = {
  sue: PERSON_IDS.superuser,
  sam: PERSON_IDS.staff,
  helpdesk: PERSON_IDS.guest,
  nobody: PERSON_IDS.nobody,
} as const

export type Who = keyof typeof PEOPLE

export interface ApiAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Undefined: the answer is no JSON. */
  readonly json: Record<string, unknown> | undefined
  readonly text: string
}

export interface ApiRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface ApiClient {
  readonly browser: Browser
  readonly csrfToken: string
  /** @param path below /admin/api/v1 */
  ask(path: string, request?: ApiRequest): Promise<ApiAnswer>
}

export interface AdminScene {
  readonly gateway: TestGateway
  readonly document: Document
  readonly clients: Readonly<Record<Who, ApiClient>>
  /** Without the cookie of the console, but with that of applications. */
  readonly signedInOnly: ApiClient
  readonly stranger: ApiClient
  /** @returns what of an answer differs from the document; undefined: nothing */
  undeclared(operation: Operation, answer: ApiAnswer): string | undefined
}

/** The mapping of the scene. */
export const SCENE_MAPPING = MAPPING.map((row) =>
  row.entraGroup === GROUP_IDS.readOnly ? { ...row, groups: [...row.groups, HELPDESK] } : row
)

export async function startAdminScene(t: Test, config: Record<string, unknown> = {}): Promise<AdminScene> {
  return await sceneOf(await startTestGateway(t, { config: { admin: {}, groupMapping: SCENE_MAPPING, ...config } }))
}

/** The same with the policy in the database, where drafts are deployed: its first version has the same mapping. */
export async function startDeployedScene(t: Test, config: Record<string, unknown> = {}): Promise<AdminScene> {
  const source = { policy: { source: 'database' }, groupMapping: undefined }
  const gateway = await startTestGateway(t, { config: { admin: {}, ...source, ...config } })
  const { database } = gateway.gateway
  const deploys = createPolicyDeploys(database, gateway.config, 'policy')
  const policy = { groupMapping: SCENE_MAPPING, access: { default: 'authenticated' } }
  await deploys.deploy(stringify(policy), { message: 'The first one' }, { actor: 'test', admin: undefined })
  const isInForce = async () => (await gateway.ask('/oauth2/auth')).status === 401
  if (!await until(isInForce)) throw new Error('the policy is not in force')
  return await sceneOf(gateway)
}

async function sceneOf(gateway: TestGateway): Promise<AdminScene> {
  await createGroupAdmin(gateway.gateway.database).apply(
    [{ name: HELPDESK, permissions: ['gatehouse.sessions'] }],
    { actor: 'test', dryRun: false },
  )
  const clients = {} as Record<Who, ApiClient>
  for (const [who, personId] of Object.entries(PEOPLE)) {
    const { browser, sessionId } = await giveAdminSession(gateway, personId)
    if (who === 'nobody') await keepAdminSession(gateway, browser, sessionId)
    clients[who as Who] = await clientOf(gateway, browser)
  }
  const { browser } = await gateway.signIn(PEOPLE.sue)
  const document = readDocument()
  return {
    gateway,
    document,
    clients,
    signedInOnly: await clientOf(gateway, browser),
    stranger: await clientOf(gateway, createBrowser()),
    undeclared: createCheck(document),
  }
}

/** As if the permissions had been taken away after the sign-in: without any, no admin session begins. */
async function keepAdminSession({ gateway, url }: TestGateway, browser: Browser, sessionId: string): Promise<void> {
  const cookie = decodeURIComponent(browser.cookies.get(new URL(url).hostname)?.get('gatehouse_admin') ?? '')
  const [id = ''] = cookie.split('.')
  await gateway.database.ask((db) =>
    db.execute(sql`insert into admin_sessions (id_hash, session_id, authenticated_at)
      values (${sessionIdHash(id)}, ${sessionId}, now())`)
  )
}

async function clientOf(gateway: TestGateway, browser: Browser): Promise<ApiClient> {
  const ask: ApiClient['ask'] = async (path, { method = 'GET', headers = {}, body } = {}) => {
    const cookie = browser.cookieHeader(gateway.url)
    const answer = await request(`${gateway.url}${API}${path}`, {
      method: method as 'GET',
      headers: {
        ...(cookie === '' ? {} : { cookie }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await answer.body.text()
    const isJson = /json/.test(String(answer.headers['content-type']))
    const json = isJson ? JSON.parse(text) as Record<string, unknown> : undefined
    return { status: answer.statusCode, headers: answer.headers, json, text }
  }
  const { json } = await ask('/me')
  return { browser, ask, csrfToken: typeof json?.['csrfToken'] === 'string' ? json['csrfToken'] : '' }
}

export type Schema = Readonly<Record<string, unknown>>

/** The extension `x-act` of the document. */
export interface ActExtension {
  /** A text: in which case. */
  readonly stepUp: boolean | string
  readonly ifMatch: boolean
  readonly reason: 'required' | 'none'
  readonly byToken: boolean | 'tokenDeploy'
}

export interface Operation {
  readonly operationId: string
  readonly method: string
  /** With parameters in braces: `/people/{id}`. */
  readonly path: string
  readonly permission: string
  readonly parameters: readonly {
    readonly in: 'path' | 'query'
    readonly name: string
    readonly required: boolean
    readonly schema: Schema
  }[]
  readonly hasBody: boolean
  /** Undefined: it changes nothing. */
  readonly act: ActExtension | undefined
  readonly responses: Readonly<Record<string, Schema>>
}

export interface Document {
  readonly text: string
  readonly content: Schema
  readonly operations: readonly Operation[]
}

/** The committed document. */
export function readDocument(): Document {
  const text = readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8')
  const content = JSON.parse(text) as Schema
  const paths = content['paths'] as Record<string, Record<string, Record<string, unknown>>>
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      operationId: operation['operationId'] as string,
      method: method.toUpperCase(),
      path,
      permission: operation['x-permission'] as string,
      parameters: (operation['parameters'] ?? []) as Operation['parameters'],
      hasBody: operation['requestBody'] !== undefined,
      act: operation['x-act'] as ActExtension | undefined,
      responses: operation['responses'] as Operation['responses'],
    }))
  )
  return { text, content, operations }
}

/** Validates with a JSON Schema implementation that the gateway does not use. */
function createCheck({ content }: Document): AdminScene['undeclared'] {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema({ $id: 'document', ...content })
  const known = new Map<string, ValidateFunction>()
  const compiled = (schema: Schema): ValidateFunction => {
    const text = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/')
    const validate = known.get(text) ?? ajv.compile(JSON.parse(text) as Schema)
    known.set(text, validate)
    return validate
  }
  return ({ responses }, { status, headers, json, text }) => {
    const declared = resolve(responses[status], content)
    if (declared === undefined) return `status ${status} is not declared`
    const type = String(headers['content-type']).split(';')[0] ?? ''
    const media = (declared['content'] as Record<string, { readonly schema?: Schema }> | undefined)?.[type]
    if (media === undefined) return `content type ${type} is not declared for ${status}`
    if (media.schema === undefined) return undefined
    const validate = compiled(media.schema)
    return validate(json ?? text) ? undefined : ajv.errorsText(validate.errors)
  }
}

function resolve(part: Schema | undefined, content: Schema): Schema | undefined {
  const reference = part?.['$ref']
  if (typeof reference !== 'string') return part
  return reference.slice(2).split('/').reduce<unknown>((at, key) => (at as Schema)[key], content) as Schema
}
