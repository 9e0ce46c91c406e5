// What the frame of acts does for every act, with acts made for it: declarations, fresh sign-in, version, reason, and
// the forms of pages.
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import Type from 'typebox'
import type { AdminUseCases } from '../../../src/admin/use-cases.js'
import type { AdminForms, FormPlace, FormValues } from '../../../src/core/admin-forms.js'
import type { Acting, RefusedAct } from '../../../src/core/acts.js'
import { requireVersion, versionTag } from '../../../src/core/version-tag.js'
import { defineAct, type ActSpec } from '../../../src/http/admin/api/act.js'
import { defineEndpoint } from '../../../src/http/admin/api/endpoint.js'
import { closed } from '../../../src/http/admin/api/schema.js'
import { defineActPage } from '../../../src/http/admin/pages/act-page.js'
import { html } from '../../../src/http/pages/html.js'
import { AUTHENTICATED_AT, startFrame, type FrameOptions } from './frame.js'

const response = closed({ color: Type.String() })
const body = Type.Object({ color: Type.String({ maxLength: 10 }) })
const WHO = 'gatehouse.policy'
const FRESH = () => (AUTHENTICATED_AT + 599) * 1000
const LATE = () => (AUTHENTICATED_AT + 601) * 1000

/** One object, and what was done to it. */
function things() {
  const done: { acting: Acting, color: string }[] = []
  let color = 'red'
  const paint = defineAct({
    method: 'POST',
    path: '/things/:id/paint',
    permission: WHO,
    summary: 'Paint a thing',
    stepUp: true,
    ifMatch: true,
    reason: 'required',
    byToken: false,
    params: Type.Object({ id: Type.String() }),
    body,
    response,
    handle: ({ acting, body }) => {
      requireVersion(acting.ifMatch, color)
      color = body.color
      done.push({ acting, color })
      return { color }
    },
  })
  const some = defineAct({
    method: 'POST',
    path: '/some',
    permission: WHO,
    summary: 'Paint some or all',
    stepUp: { where: 'where `color` is `all`', isDue: (body) => (body as { color: string }).color === 'all' },
    ifMatch: false,
    reason: 'none',
    byToken: true,
    body,
    response,
    handle: ({ body }) => body,
  })
  const page = defineActPage({
    act: paint,
    path: '/admin/things/:id/paint',
    title: 'Paint',
    params: Type.Object({ id: Type.String() }),
    fields: { color: Type.String(), confirm: Type.Optional(Type.String()) },
    bodyOf: ({ color }) => ({ color }),
    done: 'The thing is painted.',
    describe: async ({ params, values }) => ({
      title: `Paint ${params.id}`,
      trail: [],
      content: html`<p>It is ${color}.</p>`,
      fields: html`<input name="color" value="${values['color']}">`,
      button: `Paint ${params.id}`,
      ...params.id === '9' ? { confirmation: 'nine' } : {},
      version: versionTag(color),
      back: '/admin/people',
    }),
  })
  return { paint, some, page, done, version: () => versionTag(color) }
}

/** In memory; test/store/admin-forms.test.ts is about the real ones. */
function formsInMemory(): AdminForms & { readonly kept: Map<string, FormPlace & { readonly values: FormValues }> } {
  const kept = new Map<string, FormPlace & { readonly values: FormValues }>()
  return {
    kept,
    async keep(place, values) {
      const id = randomUUID()
      kept.set(id, { ...place, values })
      return id
    },
    async find(id, place) {
      const form = kept.get(id)
      return form?.path === place.path && form.act === place.act ? form.values : undefined
    },
  }
}

async function scene(t: Test, options: FrameOptions = {}) {
  const made = things()
  const forms = formsInMemory()
  const refusals: RefusedAct[] = []
  const ask = await startFrame(t, [made.paint, made.some], { forms } as unknown as AdminUseCases, {
    actPages: [made.page],
    recordRefusal: async (refused) => {
      refusals.push(refused)
    },
    ...options,
  })
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) =>
    await ask(path, WHO, {
      headers: { 'content-type': 'application/json', 'x-csrf-token': 'token', ...headers },
      body: JSON.stringify(body),
    })
  const form = async (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    await ask('/admin/things/7/paint', WHO, {
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'accept': 'text/html', ...headers },
      body: new URLSearchParams(fields).toString(),
    })
  return { ...made, ask, post, form, forms, refusals }
}

// proves: act-declared, act-defined-as-one, token-no-sign-in
t.test('an act that leaves a declaration out does not start', async (t) => {
  const whole = {
    method: 'POST',
    path: '/x',
    permission: WHO,
    summary: 'X',
    stepUp: true,
    ifMatch: true,
    reason: 'none',
    byToken: false,
    response,
    handle: () => ({ color: '' }),
  } as const
  t.doesNotThrow(() => defineAct(whole))
  for (const name of ['stepUp', 'ifMatch', 'reason', 'byToken'] as const) {
    const { [name]: _, ...rest } = whole
    t.throws(() => defineAct(rest as unknown as ActSpec<never, never, typeof response, never>), /must declare/, name)
  }
  const { stepUp: _, ifMatch: __, reason: ___, byToken: ____, ...endpoint } = whole
  t.throws(() => defineEndpoint(endpoint as never), /define it with defineAct/)
  t.throws(() => defineAct({ ...whole, method: 'DELETE', body } as never), /cannot have a body/)
  t.throws(() => defineAct({ ...whole, byToken: true }), /cannot be by token/)
  t.throws(() => defineAct({ ...whole, query: body } as never), /cannot have a query/)
})

// proves: token-never
t.test('an act that is never by token is refused before anything of the request is looked at', async (t) => {
  const done: string[] = []
  const act = (path: string, byToken: boolean) =>
    defineAct({
      method: 'POST',
      path,
      permission: WHO,
      summary: 'X',
      stepUp: false,
      ifMatch: false,
      reason: 'none',
      byToken,
      body,
      response,
      handle: ({ body, acting }) => {
        done.push(acting.admin?.tokenId ?? 'session')
        return body
      },
    })
  const refusals: RefusedAct[] = []
  const ask = await startFrame(t, [act('/never', false), act('/allowed', true)], undefined, {
    recordRefusal: async (refused) => {
      refusals.push(refused)
    },
  })
  const post = async (path: string, headers: Record<string, string>, sent: unknown) =>
    await ask(`/admin/api/v1${path}`, WHO, {
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(sent),
    })
  const [token, form] = [{ authorization: 'token' }, { 'x-csrf-token': 'token' }]
  for (const sent of [{ color: 'red' }, { color: 7 }, 'x']) {
    t.match(await post('/never', token, sent), { status: 403, json: { code: 'not_by_token' } })
    t.match(await post('/never', { ...token, ...form }, sent), { status: 403, json: { code: 'not_by_token' } })
  }
  t.match(refusals[0], { detail: { act: 'postNever', code: 'not_by_token', by: { token: 'tok_test' } } })
  t.match(await post('/never', form, { color: 'red' }), { status: 200 })
  t.match(await post('/allowed', token, { color: 'red' }), { status: 200 })
  t.match(await post('/allowed', {}, { color: 'red' }), { status: 403, json: { code: 'form_refused' } })
  t.strictSame(done, ['session', 'tok_test'])
})

// proves: act-step-up, act-version-given, act-version-compared
t.test('sign-in, version and reason are looked at before the use case', async (t) => {
  let now = LATE
  const { post, done, version, refusals } = await scene(t, { now: () => now() })
  const path = '/admin/api/v1/things/7/paint'
  const good = { color: 'blue', reason: 'It was dull.' }
  const is = async (t: Test, status: number, code: string, headers: Record<string, string>, sent: unknown = good) => {
    const { status: was, json } = await post(path, sent, headers)
    t.match({ was, code: json['code'] }, { was: status, code })
    t.strictSame(done, [], 'nothing was done')
    return json
  }
  const seen = { 'if-match': version() }
  await is(t, 403, 'form_refused', { ...seen, 'x-csrf-token': 'other' })
  await is(t, 400, 'request_malformed', seen, { color: 'blue' })
  await is(t, 400, 'request_malformed', seen, { ...good, other: 1 })
  t.equal((await is(t, 403, 'step_up_required', seen))['stepUp'], '/admin/step-up')
  now = FRESH
  await is(t, 428, 'version_missing', {})
  await is(t, 428, 'version_missing', { 'if-match': '*' })
  await is(t, 428, 'version_missing', { 'if-match': `W/${version()}` })
  await is(t, 412, 'version_stale', { 'if-match': versionTag('green') })
  t.equal((await post(path, good, seen)).status, 200)
  t.match(done, [{
    color: 'blue',
    acting: {
      actor: 'admin:3f0f8a2e-0000-4000-8000-000000000001',
      admin: { sessionId: 'ses_test', adminSessionId: 'a', address: '127.0.0.1' },
      reason: 'It was dull.',
      ifMatch: seen['if-match'],
    },
  }])
  t.strictSame(refusals.map(({ detail }) => detail['code']), [
    'form_refused',
    'step_up_required',
    'version_missing',
    'version_missing',
    'version_missing',
    'version_stale',
  ])
})

// proves: act-acrs
t.test('with admin.acrs a fresh sign-in must have had that context', async (t) => {
  const { post } = await scene(t, { now: FRESH, acrs: 'c1' })
  const due = async (headers: Record<string, string>) => await post('/admin/api/v1/some', { color: 'all' }, headers)
  for (const headers of [{}, { 'x-test-acrs': 'c2' }, { 'x-test-acrs': 'c10' }]) {
    t.match(await due(headers), { status: 403, json: { code: 'step_up_required', stepUp: '/admin/step-up' } })
  }
  t.equal((await due({ 'x-test-acrs': 'c1' })).status, 200)
  t.equal((await post('/admin/api/v1/some', { color: 'one' })).status, 200, 'what needs no fresh sign-in needs none')
  t.match(await due({ 'authorization': 'token', 'x-test-acrs': 'c1' }), { status: 403, json: { code: 'not_by_token' } })
})

t.test('some requests of an act may need a fresh sign-in alone', async (t) => {
  const { post } = await scene(t, { now: LATE })
  t.equal((await post('/admin/api/v1/some', { color: 'one' })).status, 200)
  t.match(await post('/admin/api/v1/some', { color: 'all' }), { status: 403, json: { code: 'step_up_required' } })
})

t.test('a form that needs a fresh sign-in is kept, shown again, and executed by its button alone', async (t) => {
  let now = LATE
  const { ask, form, forms, done, version } = await scene(t, { now: () => now() })
  const fields = { _csrf: 'token', _version: version(), color: '<blue>', reason: 'It was "dull".', other: 'x' }
  const due = await form(fields)
  t.equal(due.status, 403)
  t.equal(due.headers.get('location'), null, 'no redirect')
  const [, link = ''] = /href="(\/admin\/step-up\?rd=[^"]*)" hx-boost="false"/.exec(due.text) ?? []
  const back = new URL(link.replaceAll('&#38;', '&'), 'http://x').searchParams.get('rd') ?? ''
  t.match(back, /^\/admin\/things\/7\/paint\?form=[\w-]{36}$/)
  t.strictSame([...forms.kept.values()].map(({ values }) => values), [{ color: '<blue>', reason: 'It was "dull".' }])
  const htmx = await form(fields, { 'hx-request': 'true' })
  t.equal(htmx.status, 204)
  t.match(htmx.headers.get('hx-redirect'), /^\/admin\/step-up\?rd=/)

  now = FRESH
  const shown = await ask(back, WHO)
  t.match(shown.text, 'Nothing was done yet')
  t.match(shown.text, 'value="&#60;blue&#62;"')
  t.match(shown.text, 'value="It was &#34;dull&#34;."')
  t.strictSame(done, [], 'coming back does nothing')
  t.match((await ask(`/admin/things/8/paint?form=${back.slice(-36)}`, WHO)).text, 'Fill it in again', 'another object')

  t.match(
    (await form({ ...fields, color: 'blue' })).headers.get('location'),
    /^\/admin\/people\?done=things-paint$/,
  )
  t.match(done, [{ color: 'blue', acting: { reason: 'It was "dull".' } }])
  t.match((await ask('/admin/things/7/paint?done=things-paint', WHO)).text, 'The thing is painted.')
  t.notMatch((await ask('/admin/things/7/paint?done=other', WHO)).text, 'role="status"')
})

// proves: act-confirmed
t.test('an act that cannot be undone may need its object typed', async (t) => {
  const { ask, done, version } = await scene(t, { now: FRESH })
  const send = async (confirm: string) =>
    await ask('/admin/things/9/paint', WHO, {
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'accept': 'text/html' },
      body: new URLSearchParams({ _csrf: 'token', _version: version(), color: 'blue', reason: 'x', confirm })
        .toString(),
    })
  for (const wrong of ['', 'Nine', 'nine ']) t.equal((await send(wrong)).status, 400, wrong)
  t.strictSame(done, [])
  t.equal((await send('nine')).status, 303)
  t.equal(done.length, 1)
})

t.test('a form that cannot be executed is shown again with what was entered', async (t) => {
  const { form, done, version } = await scene(t, { now: FRESH })
  const fields = { _csrf: 'token', _version: version(), color: 'blue', reason: 'Dull.' }
  const without = (name: string) => Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name))
  for (
    const [sent, status, text] of [
      [without('reason'), 400, 'value="blue"'],
      [{ ...fields, color: 'a color too long' }, 400, 'value="Dull."'],
      [{ ...fields, _version: versionTag('green') }, 412, `value="${version().replaceAll('"', '&#34;')}"`],
      [without('_version'), 428, 'version_missing'],
      [{ ...fields, _csrf: 'other' }, 403, 'form_refused'],
      [without('_csrf'), 403, 'form_refused'],
    ] as const
  ) {
    const answer = await form(sent)
    t.equal(answer.status, status)
    t.match(answer.text, text)
    t.match(answer.text, 'aria-label="Console"')
  }
  t.strictSame(done, [])
})
