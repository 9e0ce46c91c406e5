// The matrix of acts, made from the OpenAPI document: every act, asked in every way that must be refused, changes
// nothing; then the same request succeeds. An act without a scene fails.
import t, { type Test } from 'tap'
import { until } from '../../helpers/until.js'
import { connect, dumpEverything, type Query, withoutTriggers } from '../../helpers/sql.js'
import { ACT_SCENES, type ActRequest } from './act-scenes.js'
import { ADMIN_PERMISSIONS } from '../../../src/core/admin-permissions.js'
import {
  HELPDESK,
  startAdminScene,
  startDeployedScene,
  type AdminScene,
  type ApiClient,
  type Operation,
} from './helper.js'
import { giveToken } from './token-client.js'

const OWN = { 'sec-fetch-site': 'same-origin' }

interface Matrix {
  readonly scene: AdminScene
  readonly query: Query
  readonly operation: Operation
  /** @param headers instead of those of a page of the console */
  send(client: ApiClient, asked: ActRequest, headers?: Readonly<Record<string, string>>): ReturnType<ApiClient['ask']>
  /** The request is refused so, and nothing changes. */
  refused(t: Test, what: string, status: number, code: string, ask: () => ReturnType<ApiClient['ask']>): Promise<void>
}

function matrixOf(scene: AdminScene, query: Query, operation: Operation): Matrix {
  return {
    scene,
    query,
    operation,
    send: async (client, { path, body, ifMatch }, headers = { ...OWN, 'x-csrf-token': client.csrfToken }) =>
      await client.ask(path, {
        method: operation.method,
        headers: { ...headers, ...ifMatch === undefined ? {} : { 'if-match': ifMatch } },
        ...body === undefined ? {} : { body },
      }),
    async refused(t, what, status, code, ask) {
      const before = await dumpEverything(query)
      const answer = await ask()
      t.match({ status: answer.status, code: answer.json?.['code'] }, { status, code }, what)
      t.equal(scene.undeclared(operation, answer), undefined, what)
      t.equal(await dumpEverything(query), before, `${what}: nothing changes`)
    },
  }
}

async function othersAreRefused(t: Test, { scene, refused, send }: Matrix, asked: ActRequest): Promise<void> {
  const { clients: { sue, sam, nobody }, stranger, signedInOnly } = scene
  const token = { ...OWN, 'x-csrf-token': sue.csrfToken }
  await refused(t, 'not signed in', 401, 'admin_sign_in_required', () => send(stranger, asked, token))
  await refused(t, 'the session cookie alone', 401, 'admin_sign_in_required', () => send(signedInOnly, asked, token))
  await refused(t, 'no permission at all', 404, 'not_found', () => send(nobody, asked))
  await refused(t, 'staff alone', 403, 'not_allowed', () => send(sam, asked))
  await refused(t, 'staff, before the form is looked at', 403, 'not_allowed', () => send(sam, asked, {}))
}

async function foreignFormsAreRefused(t: Test, matrix: Matrix, asked: ActRequest): Promise<void> {
  const { scene: { clients: { sue, sam } }, refused, send } = matrix
  const token = { 'x-csrf-token': sue.csrfToken }
  for (
    const [what, headers] of [
      ['cross-site', { ...token, 'sec-fetch-site': 'cross-site' }],
      ['same-site', { ...token, 'sec-fetch-site': 'same-site' }],
      ['typed into the address', { ...token, 'sec-fetch-site': 'none' }],
      ['another origin', { ...token, origin: 'https://evil.example' }],
      ['neither Sec-Fetch-Site nor Origin', token],
      ['no form token', OWN],
      ['a wrong form token', { ...OWN, 'x-csrf-token': 'A'.repeat(43) }],
      ['the form token of another administrator', { ...OWN, 'x-csrf-token': sam.csrfToken }],
    ] as const
  ) {
    await refused(t, what, 403, 'form_refused', () => send(sue, asked, headers as Record<string, string>))
  }
}

async function staleSignInIsRefused(t: Test, matrix: Matrix, asked: ActRequest): Promise<void> {
  const { scene: { clients: { sue } }, query, refused, send } = matrix
  const at = async (value: string) => await query(`update admin_sessions set authenticated_at = ${value}`)
  await at("now() - interval '10 minutes 5 seconds'")
  await refused(t, 'a sign-in that is too old', 403, 'step_up_required', async () => {
    const answer = await send(sue, asked)
    t.equal(answer.json?.['stepUp'], '/admin/step-up', 'where to sign in anew')
    return answer
  })
  await at('now()')
}

async function otherVersionsAreRefused(t: Test, matrix: Matrix, asked: ActRequest): Promise<void> {
  const { scene: { clients: { sue } }, refused, send } = matrix
  const { ifMatch, ...missing } = asked
  t.match(ifMatch, /^"[\w-]{22}"$/, 'the scene has a version')
  await refused(t, 'no If-Match', 428, 'version_missing', () => send(sue, missing))
  for (const wrong of ['*', `W/${ifMatch}`, `${ifMatch}, "other"`]) {
    await refused(t, `If-Match: ${wrong}`, 428, 'version_missing', () => send(sue, { ...asked, ifMatch: wrong }))
  }
  const stale = `"${'A'.repeat(22)}"`
  await refused(t, 'a stale If-Match', 412, 'version_stale', () => send(sue, { ...asked, ifMatch: stale }))
}

async function reasonIsNeeded(t: Test, matrix: Matrix, asked: ActRequest): Promise<void> {
  const { scene: { clients: { sue } }, operation: { method }, refused, send } = matrix
  const withReason = (reason: string | undefined): ActRequest => {
    if (method !== 'DELETE') return { ...asked, body: { ...asked.body as object, reason } }
    const url = new URL(asked.path, 'http://x')
    url.searchParams.delete('reason')
    if (reason !== undefined) url.searchParams.set('reason', reason)
    return { ...asked, path: `${url.pathname}${url.search}` }
  }
  for (const reason of [undefined, '', '  ', 'a\nb', 'x'.repeat(501)]) {
    const what = `the reason ${JSON.stringify(reason)?.slice(0, 20)}`
    await refused(t, what, 400, 'request_malformed', () => send(sue, withReason(reason)))
  }
}

/** Gus has the permission of the act for a moment. */
async function aboveOwnRightsIsRefused(t: Test, matrix: Matrix): Promise<void> {
  const { scene, query, operation: { operationId, permission }, refused, send } = matrix
  const above = ACT_SCENES[operationId]?.above
  if (above === undefined) return
  const { rowCount = 0 } = {
    rowCount: (await query(
      `insert into group_permissions (group_id, permission) select id, $2 from groups where name = $1
      on conflict do nothing returning 1`,
      [HELPDESK, permission],
    )).length,
  }
  const asked = await above(scene, query)
  await refused(t, 'above own rights', 403, 'above_own_rights', () => send(scene.clients.helpdesk, asked))
  if (rowCount > 0) await query('delete from group_permissions where permission = $1', [permission])
}

const EVERYTHING = Object.keys(ADMIN_PERMISSIONS)

/** API tokens of Sue: what their scopes do not have, and what is never by token, although Sue may do everything. */
async function tokensAreRefused(
  t: Test,
  matrix: Matrix,
  asked: ActRequest,
  due: ActRequest | undefined,
): Promise<void> {
  const { scene, query, operation: { operationId, permission, act }, refused, send } = matrix
  const by = async (scopes: readonly string[]): Promise<ApiClient> => ({
    ...scene.clients.sue, // with the cookie and the form token of Sue, which do not count
    ask: (await giveToken(scene, query, 'sue', scopes)).ask,
  })
  const cookie = { cookie: scene.clients.sue.browser.cookieHeader(scene.gateway.url) }
  const reader = await by(['gatehouse.read'])
  await refused(t, 'a token without the scope', 403, 'not_allowed', () => send(reader, asked, {}))
  await refused(t, 'the same with a cookie', 403, 'not_allowed', () => send(reader, asked, cookie))
  const nobody = { ...reader, ask: (await giveToken(scene, query, 'nobody', EVERYTHING)).ask }
  await refused(t, 'a token whose owner has no right', 403, 'not_allowed', () => send(nobody, asked, {}))
  const all = await by(EVERYTHING)
  if (act?.byToken !== true) {
    return await refused(t, 'never by token', 403, 'not_by_token', () => send(all, asked, {}))
  }
  if (due !== undefined && act.stepUp !== false) {
    await refused(t, 'what needs a sign-in', 403, 'not_by_token', () => send(all, due, {}))
  }
  const above = await ACT_SCENES[operationId]?.above?.(scene, query)
  if (above === undefined) return
  const scoped = await by(['gatehouse.sessions', permission])
  await refused(t, "above the token's rights", 403, 'above_own_rights', () => send(scoped, above, {}))
}

async function tokenSucceeds(t: Test, { scene, query, operation, send }: Matrix, asked: ActRequest): Promise<void> {
  const token = await giveToken(scene, query, 'sue', EVERYTHING)
  const answer = await send({ ...scene.clients.sue, ask: token.ask }, asked, {})
  t.equal(answer.status, 200, `by token: ${answer.text}`)
  t.equal(scene.undeclared(operation, answer), undefined)
  const rows = await query<{ actor: string }>(
    "select actor from audit_events where detail->'by' = jsonb_build_object('token', $1::text, 'address', '127.0.0.1')",
    [token.id],
  )
  t.match(rows, [{ actor: /^admin:[\w-]{36}$/ }], 'recorded with the token')
}

// proves: act-permission, act-own-form, token-step-up
t.test('every act of the document', { timeout: 240_000 }, async (t) => {
  const scene = await startDeployedScene(t)
  const query = await connect(t, scene.gateway.databaseUrl)
  const { clients: { sue } } = scene
  const acts = scene.document.operations.filter(({ act }) => act !== undefined)
  t.strictSame(Object.keys(ACT_SCENES).sort(), acts.map(({ operationId }) => operationId).sort(), 'one scene each')

  for (const operation of acts) {
    await t.test(`${operation.method} ${operation.path}`, async (t) => {
      const { operationId, act, method } = operation
      const found = ACT_SCENES[operationId]
      if (found === undefined) return t.fail(`${operationId} has no scene in act-scenes.ts`)
      const matrix = matrixOf(scene, query, operation)
      const asked = await found.allowed(scene, query)
      await othersAreRefused(t, matrix, asked)
      await foreignFormsAreRefused(t, matrix, asked)
      const due = act?.stepUp === false ? undefined : await (found.stepUp ?? found.allowed)(scene, query)
      if (act?.stepUp !== false) t.ok(due, 'the scene has a request that needs a fresh sign-in')
      if (typeof act?.stepUp === 'string') t.ok(found.stepUp, 'and it says which one')
      if (due !== undefined) await staleSignInIsRefused(t, matrix, due)
      if (act?.ifMatch === true) await otherVersionsAreRefused(t, matrix, asked)
      if (act?.reason === 'required') await reasonIsNeeded(t, matrix, asked)
      await aboveOwnRightsIsRefused(t, matrix)
      await tokensAreRefused(t, matrix, asked, due)
      if (act?.byToken === true) await tokenSucceeds(t, matrix, await found.allowed(scene, query))

      const before = await dumpEverything(query)
      const answer = await matrix.send(sue, asked)
      t.equal(answer.status, 200, `${method} succeeds: ${answer.text}`)
      t.equal(scene.undeclared(operation, answer), undefined)
      t.not(await dumpEverything(query), before, 'something changed')
      const [row] = await query<{ actor: string, by: unknown, correlation: string | null, reason: string | null }>(
        `select actor, detail->'by' as by, correlation_id as correlation, detail->>'reason' as reason
        from audit_events where actor like 'admin:%' and action not in ('act.refused', 'admin.person.viewed')
        order by at desc, id desc limit 1`,
      )
      t.match(row, { actor: /^admin:/, by: { session: /^ses_/, address: '127.0.0.1' }, correlation: /./ })
      if (act?.reason === 'required') t.ok(row?.reason, 'the reason is recorded')
      const { hasEnded } = found
      if (hasEnded) t.ok(await until(() => hasEnded(query)), 'it has ended')
    })
  }
})

t.test('every operation that is no act changes nothing', async (t) => {
  const { document } = await startAdminScene(t)
  const unsafe = document.operations.filter(({ method, act }) => method !== 'GET' && act === undefined)
  t.strictSame(unsafe.map(({ operationId }) => operationId).sort(), [
    'postDoctor',
    'postPolicyDraftsByIdCheck',
    'postPolicyDraftsByIdPreview',
    'postPolicyTest',
  ])
})

// proves: act-end-one-of, act-change-one-of
t.test('acts with a choice need exactly one of it', async (t) => {
  const scene = await startAdminScene(t)
  const query = await connect(t, scene.gateway.databaseUrl)
  const { clients: { sue } } = scene
  const headers = { ...OWN, 'x-csrf-token': sue.csrfToken }
  const reason = 'Lost.'
  const change = await ACT_SCENES['patchPeopleById']?.allowed(scene, query) ?? { path: '' }
  const before = await dumpEverything(query)
  for (
    const [method, path, body] of [
      ['POST', '/sessions/end', { reason }],
      ['POST', '/sessions/end', { reason, all: false }],
      ['POST', '/sessions/end', { reason, all: true, host: 'a.example' }],
      ['POST', '/sessions/end', { reason, person: 'sam', host: 'a.example' }],
      ['PATCH', change.path, { reason }],
      ['PATCH', change.path, { reason, isActive: false, username: 'other' }],
    ] as const
  ) {
    const answer = await sue.ask(path, { method, headers: { ...headers, 'if-match': change.ifMatch ?? '' }, body })
    t.match({ status: answer.status, json: answer.json }, { status: 400, json: { code: 'request_malformed' } }, path)
  }
  t.equal(await dumpEverything(query), before)
})

// proves: act-refusal-recorded, act-refused-once-a-second
t.test('refused acts are recorded, one a second for each administrator', async (t) => {
  const scene = await startAdminScene(t)
  const query = await connect(t, scene.gateway.databaseUrl)
  const { clients: { helpdesk } } = scene
  const above = await ACT_SCENES['deleteSessionsByPublicId']?.above?.(scene, query)
  const headers = { ...OWN, 'x-csrf-token': helpdesk.csrfToken }
  const ask = async () => await helpdesk.ask(above?.path ?? '', { method: 'DELETE', headers })
  const refusals = async () =>
    await query<{ actor: string, detail: Record<string, unknown> }>(
      "select actor, detail from audit_events where action = 'act.refused' order by id",
    )
  for (let n = 0; n < 3; n++) await ask()
  const [first, ...more] = await refusals()
  t.match(first, {
    actor: /^admin:[\w-]{36}$/,
    detail: { act: 'deleteSessionsByPublicId', code: 'above_own_rights', path: /ses_/, by: { address: '127.0.0.1' } },
  })
  const counted = more.reduce((sum, { detail }) => sum + Number(detail['leftOut'] ?? 0) + 1, 1)
  t.ok(counted <= 3)
  await query(withoutTriggers("update audit_events set at = at - interval '2 seconds' where action = 'act.refused'"))
  await ask()
  const rows = await refusals()
  t.equal(rows.reduce((sum, { detail }) => sum + Number(detail['leftOut'] ?? 0) + 1, 0), 4, 'all are counted')
  t.ok(rows.length < 4, 'some were left out')
})
