// The frame of the console's pages: who sees what, which parameters count, the headers, and the parts of a page.
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { Type } from 'typebox'
import { ADMIN_PERMISSIONS, type AdminPermission } from '../../../src/core/admin-permissions.js'
import { GatehouseError, type ErrorCode } from '../../../src/core/errors.js'
import type { AdminGuard } from '../../../src/http/admin/actor.js'
import { barChart } from '../../../src/http/admin/pages/bar-chart.js'
import { named, reasonLine, timeText } from '../../../src/http/admin/pages/components.js'
import { filterForm } from '../../../src/http/admin/pages/filter-form.js'
import { link, linkTo } from '../../../src/http/admin/pages/links.js'
import { defineAdminPage, type AdminPage } from '../../../src/http/admin/pages/page.js'
import { pageRoutes } from '../../../src/http/admin/pages/routes.js'
import { dataTable, pager } from '../../../src/http/admin/pages/table.js'
import { createErrorHandler } from '../../../src/http/errors.js'
import { html } from '../../../src/http/pages/html.js'
import { createTheme } from '../../../src/http/pages/theme.js'

const HOSTILE = `'"><script>alert(1)</script>`
const HTML = { accept: 'text/html' }

const LIST = defineAdminPage({
  path: '/admin/people',
  permission: 'gatehouse.read',
  title: 'People',
  query: Type.Object({
    q: Type.Optional(Type.String({ maxLength: 5 })),
    notSeenDays: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  render: ({ query }) => ({ title: 'People', content: html`<pre>${JSON.stringify(query)}</pre>` }),
})

const ONE = defineAdminPage({
  path: '/admin/people/:id',
  permission: 'gatehouse.sessions',
  title: 'Person',
  params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
  render: () => {
    throw new GatehouseError('database_unavailable')
  },
})

/** A guard that knows one administrator, or refuses everybody. */
function guardOf(words: readonly AdminPermission[], refusal?: ErrorCode): AdminGuard {
  return {
    authenticate: async (_request, permission) => {
      if (refusal !== undefined) throw new GatehouseError(refusal)
      if (!words.includes(permission)) throw new GatehouseError('not_allowed')
      return {
        userId: '1',
        username: 'ada',
        name: HOSTILE,
        permissions: new Set(words),
        sessionId: 's',
        adminSessionId: 'a',
        authenticatedAt: 0,
        acrs: null,
        csrfToken: 'token-of-ada',
      }
    },
  }
}

async function served(t: Test, guard: AdminGuard, pages: readonly AdminPage[] = [LIST, ONE]) {
  const theme = createTheme({ branding: {}, applications: [] } as unknown as Parameters<typeof createTheme>[0])
  const app = fastify()
  t.teardown(() => app.close())
  app.setErrorHandler(createErrorHandler({
    publicUrl: 'http://127.0.0.1:1',
    authority: 'http://127.0.0.1:2',
    redirectDomains: [],
    contact: undefined,
    sessionCookie: 'session',
    theme: () => theme,
  }))
  app.setNotFoundHandler(() => {
    throw new GatehouseError('not_found')
  })
  await app.register(pageRoutes, { guard, useCases: {}, theme: () => theme, pages } as Parameters<typeof pageRoutes>[1])
  return async (url: string) => await app.inject({ url, headers: HTML })
}

const ALL = Object.keys(ADMIN_PERMISSIONS) as AdminPermission[]
const codeOf = (text: string): string | undefined => /data-field="code">(\w+)</.exec(text)?.[1]

// proves: admin-page-doubled
t.test('unknown and empty parameters are ignored, wrong and doubled ones refused inside the layout', async (t) => {
  const ask = await served(t, guardOf(ALL))
  const shown = async (query: string) => /<pre>(.*)<\/pre>/.exec((await ask(`/admin/people?${query}`)).body)?.[1]
  t.equal(await shown('q=ann&utm=1&notSeenDays=90'), '{&#34;q&#34;:&#34;ann&#34;,&#34;notSeenDays&#34;:90}')
  t.equal(await shown('q=&notSeenDays=&__proto__=x'), '{}')
  for (
    const [query, code] of [
      ['q=toolong', 'request_malformed'],
      ['notSeenDays=0', 'request_malformed'],
      ['notSeenDays=x', 'request_malformed'],
      ['q=a&q=b', 'query_duplicate'],
    ] as const
  ) {
    const answer = await ask(`/admin/people?${query}`)
    t.equal(answer.statusCode, 400, query)
    t.equal(codeOf(answer.body), code, query)
    t.match(answer.body, 'aria-label="Console"', 'inside the layout')
  }
})

// proves: admin-page-policy
t.test('every answer of the console has the headers that the contract names', async (t) => {
  const ask = await served(t, guardOf(ALL))
  for (const path of ['/admin/people', '/admin/people?notSeenDays=x', '/admin/nothing', '/admin/people/x']) {
    t.match((await ask(path)).headers, {
      'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
      'cache-control': 'no-store',
      'vary': 'Cookie',
    }, path)
  }
})

// proves: admin-page-permission
t.test('errors of somebody who is signed in to the console are shown inside the layout', async (t) => {
  const id = '7c0ff3e5-5b0b-4d4c-8f7c-1f5b8a6f0001'
  for (
    const [path, words, status, code] of [
      ['/admin/nothing', ALL, 404, 'not_found'],
      ['/admin/people/1', ALL, 404, 'not_found'],
      [`/admin/people/${id}`, ['gatehouse.read'], 403, 'not_allowed'],
      [`/admin/people/${id}`, ALL, 503, 'database_unavailable'],
    ] as const
  ) {
    const answer = await (await served(t, guardOf(words)))(path)
    t.equal(answer.statusCode, status, path)
    t.equal(codeOf(answer.body), code, path)
    t.match(answer.body, 'aria-label="Console"')
  }
})

t.test('somebody without permissions gets the answer of an unknown address, wherever below /admin', async (t) => {
  const ask = await served(t, guardOf([], 'not_found'))
  const elsewhere = await ask('/nowhere')
  for (const path of ['/admin/people', '/admin/people?notSeenDays=x', '/admin/people/1', '/admin/nothing']) {
    const { statusCode, body, headers } = await ask(path)
    t.equal(statusCode, 404, path)
    t.equal(body, elsewhere.body, path)
    t.strictSame({ ...headers, date: '' }, { ...elsewhere.headers, date: '' }, path)
  }
})

t.test('stylesheet and script have addresses that change with their content', async (t) => {
  const ask = await served(t, guardOf(ALL))
  const { body } = await ask('/admin/people')
  for (const [, path = ''] of body.matchAll(/(?:href|src)="(\/admin\/assets\/[^"]+)"/g)) {
    const asset = await ask(path)
    t.equal(asset.statusCode, 200, path)
    t.match(asset.headers['cache-control'], 'immutable')
    const earlier = await ask(path.replace(/\w{16}/, '0000000000000000'))
    t.equal(earlier.body, asset.body, 'a page of another replica gets the current file')
    t.equal(earlier.headers['cache-control'], 'no-store')
  }
  t.equal((await ask('/admin/assets/x.png')).statusCode, 404)
})

t.test('parts of pages escape what they are given', async (t) => {
  const parts = [
    named({ name: HOSTILE, id: HOSTILE, href: linkTo('groups', HOSTILE) }),
    reasonLine({ entraGroups: [{ id: HOSTILE, label: HOSTILE, row: 3 }], since: null }),
    dataTable({
      caption: HOSTILE,
      columns: [{ heading: HOSTILE, cell: (row: string) => row }],
      rows: [HOSTILE],
      empty: html``,
    }),
    pager({ path: '/admin/people', query: { q: HOSTILE }, next: HOSTILE }),
    filterForm({
      path: '/admin/people',
      label: HOSTILE,
      fields: [
        { kind: 'search', name: 'q', label: HOSTILE, value: HOSTILE, hint: HOSTILE },
        { kind: 'select', name: 's', label: 'S', value: HOSTILE, options: [{ value: HOSTILE, label: HOSTILE }] },
      ],
      kept: { range: HOSTILE },
    }),
    barChart({ id: 'c', title: HOSTILE, series: [{ name: HOSTILE, values: [1] }], buckets: [{ label: HOSTILE }] }),
  ]
  for (const { html: text } of parts) {
    t.notMatch(text, /<script|'">/)
    t.match(text, /&#60;script|%3Cscript/)
  }
})

t.test('links carry what was chosen and leave out what is empty', (t) => {
  t.equal(link('/admin/people', { q: 'a b', staff: undefined, after: '' }), '/admin/people?q=a+b')
  t.equal(linkTo('groups', 'NetBox Admins/é'), '/admin/groups/NetBox%20Admins%2F%C3%A9')
  const { html: text } = pager({ path: '/admin/people', query: { q: 'x', after: '1' }, next: '2' })
  t.match(text, 'href="/admin/people?q=x"')
  t.match(text, 'href="/admin/people?q=x&#38;after=2"')
  t.equal(pager({ path: '/admin/people', query: {}, next: null }).html, '')
  t.end()
})

t.test('times are in UTC, for people and for programs', (t) => {
  t.equal(
    timeText('2026-11-21T09:30:15.000+01:00').html,
    '<time datetime="2026-11-21T08:30:15.000Z">2026-11-21 08:30 UTC</time>',
  )
  for (const none of [null, undefined, 'never']) t.match(timeText(none, 'not yet').html, 'not yet')
  t.end()
})

t.test('a chart has its numbers as text, and bars that add up', (t) => {
  const { html: text } = barChart({
    id: 'c',
    title: 'Sign-ins',
    series: [{ name: 'Allowed', values: [1, 0] }, { name: 'Refused', values: [3, 0] }],
    buckets: [{ label: '09:00', href: '/admin/audit?at=9' }, { label: '10:00' }],
  })
  t.match(text, '<td>3</td>')
  t.match(text, '<a href="/admin/audit?at=9">09:00</a>')
  t.match(text, 'Refused: 3, most at 09:00 (3).')
  t.match(text, /class="series-1" d="M5 100V75"/)
  t.match(text, /class="series-2" d="M5 75V0"/)
  t.end()
})

t.test('a chart of a level has its last value and its changes, and says what is not known', (t) => {
  const { html: text } = barChart({
    id: 'c',
    title: 'Superusers',
    level: true,
    series: [{ name: 'Superusers', values: [null, 2, 2, 4, 3, null] }],
    buckets: ['08', '09', '10', '11', '12', '13'].map((label) => ({ label })),
  })
  t.match(text, 'Superusers: 3, most at 11 (4).')
  t.match(text, 'd="M15 100V50M25 100V50M35 100V0M45 100V25"')
  t.strictSame([...text.matchAll(/scope="row">(\d+)<\/th><td>([^<]*)/g)].map(([, label, value]) => [label, value]), [
    ['08', 'not known'],
    ['09', '2'],
    ['11', '4'],
    ['12', '3'],
    ['13', 'not known'],
  ])
  t.end()
})
