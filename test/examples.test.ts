// The programs of examples/, run as they stand: the application in a process of its own, with a key set served over
// HTTP, and the custom step in the process that the gateway gives to custom steps.
import { createHash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JSONWebKeySet } from 'jose'
import t, { type Test } from 'tap'
import ts from 'typescript'
import type { IdentityClaims } from '../src/core/identity.js'
import type { LoginPlan, NamedStep } from '../src/core/pipeline/pipeline.js'
import { createCustomSteps } from '../src/custom-steps/registry.js'
import { LOOKUPS, SETTINGS } from './helpers/pipeline.js'
import { run } from './helpers/programs.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const EXAMPLES = join(ROOT, 'examples')
const AUDIENCE = 'wiki.example.com'
const SPONSORED_GUESTS = '3f1c8a52-7a5e-4a54-9a31-6f1f0c6f5b0a'

t.test('the examples compile with the types of the package, and a wrong answer does not', async (t) => {
  const paths = readdirSync(EXAMPLES).map((name) => join(EXAMPLES, name))
  t.strictSame(paths.map((path) => path.slice(EXAMPLES.length + 1)), ['custom-step.mjs', 'verify-assertion.mjs'])
  t.strictSame(typeErrors(paths), [])
  t.match(typeErrors(paths, (text) => text.replace('{ refuse:', '{ refused:')), [/refused/])
  t.match(typeErrors(paths, (text) => text.replace('audience: AUDIENCE', 'audiences: AUDIENCE')), [/audiences/])
})

t.test('examples/verify-assertion.mjs', async (t) => {
  const keys = await generateKeyPair('ES256')
  const publisher = await serveKeys(t, keys.publicKey)
  const issuer = publisher.url
  const application = await start(t, issuer)
  const signed = (changes: object = {}, key = keys.privateKey) => assertion({ iss: issuer, ...changes }, key)

  await t.test('answers with the user of a valid assertion', async (t) => {
    t.strictSame(await application(await signed()), {
      status: 200,
      body: { id: 'user-1', name: 'Ada Lovelace', groups: ['Editors'] },
    })
    t.match(await application(await signed({ name: undefined })), { status: 200, body: { name: 'ada' } })
  })

  await t.test('refuses a request without an assertion, whatever other headers it has', async (t) => {
    t.strictSame(await application(undefined), { status: 401, body: { error: 'missing' } })
    t.strictSame(await application(''), { status: 401, body: { error: 'missing' } })
  })

  await t.test('refuses every forged, foreign or expired assertion', async (t) => {
    const [head, , signature] = (await signed()).split('.')
    const now = Math.floor(Date.now() / 1000)
    const claims = Buffer.from(JSON.stringify({ sub: 'root', is_superuser: true })).toString('base64url')
    const refused = {
      'another key': await signed({}, (await generateKeyPair('ES256')).privateKey),
      'other claims': `${head}.${claims}.${signature}`,
      'another application': await signed({ aud: 'other.example.com' }),
      'another issuer': await signed({ iss: 'https://elsewhere.example.com' }),
      'expired': await signed({ iat: now - 400, exp: now - 100 }),
      'no token': 'x.y.z',
    }
    for (const [what, token] of Object.entries(refused)) {
      t.strictSame(await application(token), { status: 401, body: { error: 'invalid' } }, what)
    }
    t.match(await application(`${await signed()}, ${await signed()}`), { status: 401, body: { error: 'invalid' } })
  })

  await t.test('answers 503 where the keys cannot be fetched', async (t) => {
    const token = await signed()
    await publisher.close()
    t.match(await application(token), { status: 200 }, 'the keys are kept')
    const restarted = await start(t, issuer)
    t.strictSame(await restarted(token), { status: 503, body: { error: 'unavailable' } })
  })
})

t.test('examples/custom-step.mjs', async (t) => {
  const step = await load(t, join(EXAMPLES, 'custom-step.mjs'))
  const login = async (claims: Partial<IdentityClaims>, groupIds: readonly string[], plan: LoginPlan = {}) =>
    await step.run({
      claims: { tid: randomUUID(), oid: randomUUID(), sub: 's', iat: 0, ...claims },
      groupIds,
      plan: { details: DETAILS, ...plan },
      settings: SETTINGS,
      lookups: LOOKUPS,
    })

  await t.test('refuses a guest without a sponsor', async (t) => {
    await t.rejects(login({ acct: 1 }, [randomUUID()]), { code: 'step_refused', facts: { step: './custom-step.mjs' } })
    t.strictSame(await login({ acct: 1 }, [randomUUID(), SPONSORED_GUESTS]), {})
  })

  await t.test('derives the username of a new employee, and of no other user', async (t) => {
    const upn = 'e4711@contoso.example'
    t.strictSame(await login({ upn }, []), { details: { ...DETAILS, usernameSource: 'employee-4711' } })
    t.strictSame(await login({ upn: 'ada@contoso.example' }, []), {})
    t.strictSame(await login({ upn }, [], { user: USER }), {}, 'a known user keeps the name')
  })
})

const DETAILS = {
  email: 'ada@contoso.example',
  emailVerified: true,
  name: 'Ada Lovelace',
  givenName: 'Ada',
  familyName: 'Lovelace',
  usernameSource: 'ada@contoso.example',
}
const USER = {
  id: 'user-1',
  username: 'ada',
  email: 'ada@contoso.example',
  isActive: true,
  isStaff: false,
  isSuperuser: false,
  isBreakGlass: false,
}

/** @param change of the text of each file, before it is compiled */
function typeErrors(paths: readonly string[], change: (text: string) => string = (text) => text): readonly string[] {
  const options: ts.CompilerOptions = {
    allowJs: true,
    checkJs: true,
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts'],
    module: ts.ModuleKind.NodeNext,
    types: ['node'],
    skipLibCheck: true,
  }
  const host = ts.createCompilerHost(options)
  const { readFile } = host
  host.readFile = (path) => paths.includes(path) ? change(readFileSync(path, 'utf8')) : readFile(path)
  return ts.getPreEmitDiagnostics(ts.createProgram(paths, options, host)).map(({ messageText }) =>
    ts.flattenDiagnosticMessageText(messageText, '\n')
  )
}

async function serveKeys(t: Test, publicKey: CryptoKey): Promise<{ url: string, close: () => Promise<void> }> {
  const set: JSONWebKeySet = { keys: [{ ...await exportJWK(publicKey), kid: 'k1', alg: 'ES256', use: 'sig' }] }
  const server: Server = createServer((request, response) => {
    response.statusCode = request.url === '/.well-known/jwks.json' ? 200 : 404
    response.setHeader('content-type', 'application/jwk-set+json')
    response.end(JSON.stringify(set))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  t.teardown(close)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

/** @returns sends one request with this assertion, and headers that an application must not trust */
async function start(
  t: Test,
  issuer: string,
): Promise<(assertion: string | undefined) => Promise<{ status: number, body: unknown }>> {
  const program = await run(t, process.execPath, [join(EXAMPLES, 'verify-assertion.mjs')], {
    ready: (output) => output.includes('http://127.0.0.1:'),
    env: { ISSUER: issuer, AUDIENCE, PORT: '0' },
  })
  const [url = ''] = /http:\S+/.exec(program.output()) ?? []
  return async (assertion) => {
    const headers = {
      'remote-user': 'root',
      ...(assertion === undefined ? {} : { 'x-gatehouse-assertion': assertion }),
    }
    const answer = await fetch(url, { headers })
    return { status: answer.status, body: await answer.json() }
  }
}

/** Claims as docs/assertion.md describes them, with these changes. */
async function assertion(changes: object, key: CryptoKey): Promise<string> {
  const iat = Math.floor(Date.now() / 1000)
  const claims = {
    aud: AUDIENCE,
    sub: 'user-1',
    sid: 'ses_1',
    username: 'ada',
    email: 'ada@contoso.example',
    email_verified: true,
    name: 'Ada Lovelace',
    groups: ['Editors'],
    permissions: [],
    is_staff: false,
    is_superuser: false,
    iat,
    exp: iat + 300,
    ...changes,
  }
  return await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(key)
}

async function load(t: Test, path: string): Promise<NamedStep> {
  const steps = createCustomSteps({ log: { info: () => {} } })
  t.teardown(steps.close)
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex')
  const file = { name: './custom-step.mjs', path, sha256 }
  await steps.prepare([file])
  return steps.step(file)
}
