// A simulator per test, and a client that speaks to it as a web application and a browser would.
import { createHash, randomBytes } from 'node:crypto'
import { fetch, type RequestInit } from 'undici'
import { createDirectory } from '../../src/demo/directory.js'
import type { AppRegistration, EntraOptions, EntraSimulator } from '../../src/demo/entra/server.js'
import { startEntra } from '../../src/demo/entra/server.js'
import { createRegistration } from '../../src/demo/entra/registration.js'
import { DEMO_TENANT_ID, PEOPLE, seedDemoDirectory } from '../../src/demo/people.js'

export const REDIRECT = 'https://gate.example/oauth2/callback'
export const SECRET = 's3cret~with +odd%chars'

export interface Json {
  [name: string]: unknown
}

export async function start(
  t: { teardown(work: () => unknown): void },
  options: Partial<EntraOptions> = {},
  app: Partial<AppRegistration> = {},
) {
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  const entra = await startEntra({
    directory,
    app: createRegistration({
      redirectUris: [REDIRECT, 'https://gate.example/oauth2/sign_in'],
      secret: SECRET,
      ...app,
    }),
    ...options,
  })
  t.teardown(() => entra.close())
  return { entra, client: createClient(entra) }
}

export function createClient(entra: EntraSimulator) {
  const base = `${entra.url}/${entra.tenantId}`
  const parameters = (more: Record<string, string | undefined> = {}): Record<string, string> => {
    const all = {
      client_id: entra.app.clientId,
      response_type: 'code',
      redirect_uri: REDIRECT,
      response_mode: 'query',
      state: 'st ate+&=é',
      scope: `openid profile email ${entra.graphUrl}/User.Read`,
      nonce: 'n-1',
      ...more,
    }
    return Object.fromEntries(Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined))
  }
  const post = (path: string, form: Record<string, string> | URLSearchParams, init: RequestInit = {}) =>
    fetch(`${base}${path}`, { redirect: 'manual', method: 'POST', body: new URLSearchParams(form), ...init })
  const answer = async (
    response: { status: number, headers: { get(name: string): string | null }, text(): Promise<string> },
  ) => {
    const location = response.headers.get('location')
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      text,
      location,
      callback: location === null
        ? undefined
        : Object.fromEntries(new URL(location).searchParams) as Record<string, string | undefined>,
    }
  }

  const client = {
    base,
    parameters,
    authorize: async (more?: Record<string, string | undefined>, cookie?: string) =>
      answer(
        await fetch(`${base}/oauth2/v2.0/authorize?${new URLSearchParams(parameters(more))}`, {
          redirect: 'manual',
          headers: cookie ? { cookie } : {},
        }),
      ),
    signIn: async (person: string, more?: Record<string, string | undefined>, cookie?: string) =>
      answer(await post('/login', { ...parameters(more), person }, { headers: cookie ? { cookie } : {} })),
    press: async (action: string) => answer(await post('/login', { ...parameters(), action })),
    token: async (form: Record<string, string | undefined>, init?: RequestInit) => {
      const given = Object.entries({ client_id: entra.app.clientId, client_secret: SECRET, ...form }).filter((
        pair,
      ): pair is [string, string] => pair[1] !== undefined)
      const response = await post('/oauth2/v2.0/token', Object.fromEntries(given), init)
      const text = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: (text.startsWith('{') ? JSON.parse(text) : {}) as Json,
      }
    },
    code: async (person: string = PEOPLE.staff.id, more?: Record<string, string | undefined>) => {
      const { callback, text } = await client.signIn(person, more)
      if (callback?.code === undefined) throw new Error(`no code: ${text}${JSON.stringify(callback)}`)
      return callback.code
    },
    redeem: (code: string, more: Record<string, string | undefined> = {}, init?: RequestInit) =>
      client.token({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT, ...more }, init),
    login: async (person: string = PEOPLE.staff.id, more?: Record<string, string | undefined>) => {
      const { body } = await client.redeem(await client.code(person, more))
      return { accessToken: String(body.access_token), idToken: String(body.id_token), body }
    },
    appOnly: async () =>
      String(
        (await client.token({ grant_type: 'client_credentials', scope: `${entra.graphUrl}/.default` })).body
          .access_token,
      ),
    graph: async (path: string, token: string, headers: Record<string, string> = {}) => {
      const response = await fetch(path.startsWith('http') ? path : `${entra.graphUrl}/v1.0${path}`, {
        headers: { authorization: `Bearer ${token}`, ...headers },
      })
      const text = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: (text.startsWith('{') ? JSON.parse(text) : {}) as GraphBody,
      }
    },
    /** Every page, as a correct client reads them. */
    async all(path: string, token: string, headers: Record<string, string> = {}) {
      const ids: string[] = []
      const pages: GraphBody[] = []
      for (
        let next: string | undefined = path;
        next !== undefined && pages.length < 200;
        next = pages.at(-1)?.['@odata.nextLink']
      ) {
        const { status, body, text } = await client.graph(next, token, headers)
        if (status !== 200) throw new Error(text)
        pages.push(body)
        ids.push(...(body.value ?? []).map(({ id }) => id))
      }
      return { ids, pages }
    },
  }
  return client
}

export interface GraphBody {
  '@odata.context'?: string
  '@odata.nextLink'?: string
  '@odata.count'?: number
  value?: ({ id: string } & Json)[]
  error?: { code: string, innerError?: Json } & Json
  [name: string]: unknown
}

export function pkce() {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

export const claimsOf = (idToken: string) =>
  JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString()) as Json
export const headerOf = (idToken: string) =>
  JSON.parse(Buffer.from(idToken.split('.')[0] ?? '', 'base64url').toString()) as Json
