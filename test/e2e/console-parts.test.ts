// The parts of the console's pages in a real Chromium, with hostile names in every place: how they look, that they are
// reached by keyboard, and what htmx adds. GATEHOUSE_SCREENSHOTS names a folder for pictures.
import fastify from 'fastify'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { Type } from 'typebox'
import { ADMIN_PERMISSIONS, type AdminPermission } from '../../src/core/admin-permissions.js'
import { GatehouseError } from '../../src/core/errors.js'
import { barChart } from '../../src/http/admin/pages/bar-chart.js'
import {
  badge,
  contents,
  emptyState,
  facts,
  figures,
  idText,
  named,
  note,
  reasonLine,
  section,
  tabs,
  tag,
  timeText,
} from '../../src/http/admin/pages/components.js'
import { filterForm } from '../../src/http/admin/pages/filter-form.js'
import { linkTo } from '../../src/http/admin/pages/links.js'
import { NAVIGATION } from '../../src/http/admin/pages/navigation.js'
import { defineAdminPage } from '../../src/http/admin/pages/page.js'
import { pageRoutes } from '../../src/http/admin/pages/routes.js'
import { dataTable, pager, results } from '../../src/http/admin/pages/table.js'
import { html } from '../../src/http/pages/html.js'
import { createTheme } from '../../src/http/pages/theme.js'
import { startChromium } from '../helpers/chromium.js'
import { looksWell, refusalsOf } from '../helpers/console-checks.js'
import { HOSTILE_NAMES } from '../helpers/hostile-names.js'

const NAMES = HOSTILE_NAMES
const ID = '7c0ff3e5-5b0b-4d4c-8f7c-1f5b8a6f0001'
const GROUP = 'c0000000-0000-4000-8000-00000000000a'

const PEOPLE = defineAdminPage({
  path: '/admin/people',
  permission: 'gatehouse.read',
  title: 'People',
  query: Type.Object({
    q: Type.Optional(Type.String()),
    staff: Type.Optional(Type.String()),
    after: Type.Optional(Type.String()),
  }),
  render: ({ query: { q, staff, after } }) => {
    const rows = q === 'nobody' ? [] : NAMES.filter((name) => name.toLowerCase().includes((q ?? '').toLowerCase()))
    return {
      title: 'People',
      lead: 'Everybody who has signed in here, or whom an administrator has added.',
      content: html`${
        filterForm({
          path: '/admin/people',
          label: 'Filter people',
          fields: [
            { kind: 'search', name: 'q', label: 'Name, username, e-mail or Object ID', value: q },
            {
              kind: 'select',
              name: 'staff',
              label: 'Staff',
              value: staff,
              options: [{ value: '', label: 'Everybody' }, { value: 'true', label: 'Staff only' }],
            },
            { kind: 'number', name: 'notSeenDays', label: 'Not seen for days', value: undefined, min: 1 },
          ],
        })
      }${
        results(html`${
          dataTable({
            caption: 'People',
            columns: [
              {
                heading: 'Name',
                cell: (name: string) => named({ name, id: 'max@contoso.example', href: linkTo('people', ID) }),
              },
              { heading: 'E-mail', cell: (name) => `${name.slice(0, 40)}@contoso.example` },
              { heading: 'Kind', cell: () => html`${badge('staff')}${badge('superuser')}${badge('guest')}` },
              { heading: 'Groups', cell: (name) => name.length, kind: 'number' },
              { heading: 'Last seen', cell: () => timeText('2026-11-28T01:50:00Z'), kind: 'time' },
            ],
            rows,
            empty: emptyState({
              title: 'Nobody matches these filters.',
              next: html`<a href="/admin/people">Clear the filters</a> to see everybody.`,
            }),
          })
        }${pager({ path: '/admin/people', query: { q, staff, after }, next: after === undefined ? 'cursor' : null })}`)
      }`,
    }
  },
})

const PERSON = defineAdminPage({
  path: '/admin/people/:id',
  permission: 'gatehouse.read',
  title: 'Person',
  params: Type.Object({ id: Type.String() }),
  render: ({ params }) => ({
    title: NAMES[3] ?? '',
    lead: idText(params.id),
    trail: [{ label: 'People', href: '/admin/people' }],
    content: html`${contents([{ id: 'rights', title: 'Rights' }, { id: 'sign-ins', title: 'Sign-ins' }])}
${
      facts([
        ['Username', NAMES[1]],
        ['E-mail', NAMES[2]],
        ['Kind', html`${badge('inactive')}${badge('byHand')}${tag('member', 'good')}${tag('other')}`],
        ['Object ID', idText(ID)],
        ['Last seen', timeText(null, 'never')],
        ['Not known', undefined],
      ])
    }${note(html`This group was given by hand. It is gone at the next sign-in.`, 'warn')}${
      note('Their groups are too many for a token.')
    }${note('The client secret has expired.', 'bad')}${
      section({
        id: 'rights',
        title: 'Rights',
        lead: 'Each right, and the Entra group that gives it.',
        content: dataTable({
          caption: 'Rights',
          columns: [
            { heading: 'Right', cell: (name: string) => named({ name, href: linkTo('groups', name) }) },
            {
              heading: 'Reason',
              cell: (label) =>
                reasonLine({ entraGroups: [{ id: GROUP, label, row: 3 }], since: '2026-11-21T08:00:00Z' }),
            },
          ],
          rows: NAMES,
          empty: html``,
        }),
      })
    }${
      section({
        id: 'sign-ins',
        title: 'Sign-ins',
        content: html`${
          tabs({
            label: 'Range',
            items: [
              { title: '24 hours', href: '?range=24h', current: true },
              { title: '7 days', href: '?range=7d', current: false },
            ],
          })
        }${
          figures([
            { label: 'Signed in now', value: 184, href: '/admin/people', lead: '12 more than yesterday' },
            { label: 'Refused today', value: 7 },
          ])
        }${
          barChart({
            id: 'by-hour',
            title: 'Sign-ins by hour',
            series: [
              {
                name: 'Succeeded',
                values: Array.from({ length: 24 }, (_, hour) => Math.round(40 + 35 * Math.sin(hour / 4))),
              },
              { name: 'Refused', values: Array.from({ length: 24 }, (_, hour) => hour % 7) },
            ],
            buckets: Array.from(
              { length: 24 },
              (_, hour) => ({ label: `2026-11-28 ${String(hour).padStart(2, '0')}:00` }),
            ),
          })
        }`,
      })
    }`,
  }),
})

/** The rest of the navigation. */
const OTHERS = NAVIGATION.filter(({ path }) => path !== PEOPLE.path).map(({ path, label }) =>
  defineAdminPage({
    path,
    permission: 'gatehouse.read',
    title: label,
    render: () => {
      throw new GatehouseError('not_found')
    },
  })
)

async function startParts(t: Test): Promise<string> {
  const theme = createTheme({ branding: {}, applications: [] } as unknown as Parameters<typeof createTheme>[0])
  const app = fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  const options = {
    guard: {
      authenticate: async () => ({
        userId: '1',
        username: NAMES[1],
        name: NAMES[3],
        permissions: new Set(Object.keys(ADMIN_PERMISSIONS) as AdminPermission[]),
        sessionId: 's',
        authenticatedAt: 0,
        csrfToken: 'token',
      }),
    },
    useCases: {},
    theme: () => theme,
    pages: [PEOPLE, PERSON, ...OTHERS],
  }
  await app.register(pageRoutes, options as unknown as Parameters<typeof pageRoutes>[1])
  await app.listen({ host: '127.0.0.1', port: 0 })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

t.test('the parts of pages', async (t) => {
  const chromium = await startChromium(t)
  if (!chromium) return
  const url = await startParts(t)

  await t.test('look well with hostile names, in every look', async (t) => {
    const page = await chromium.newPage()
    const refusals = refusalsOf(page)
    const pages = [
      ['parts-list', '/admin/people'],
      ['parts-empty', '/admin/people?q=nobody'],
      ['parts-object', `/admin/people/${ID}`],
      ['parts-error', '/admin/people?q=a&q=b'],
    ] as const
    for (const [name, path] of pages) {
      await page.goto(`${url}${path}`)
      await looksWell(t, page, name)
      t.equal(await page.evaluate('document.querySelectorAll("main script, main img, [onerror]").length'), 0)
    }
    t.strictSame(refusals, [], 'the policy refuses nothing')
    await page.close()
  })

  await t.test('a filter is applied while it is typed, and the focus and the address are kept', async (t) => {
    const page = await chromium.newPage({ viewport: { width: 1280, height: 800 } })
    const refusals = refusalsOf(page)
    await page.goto(`${url}/admin/people`)
    await page.evaluate('window.sameDocument = true')
    await page.click('#filter-q')
    await page.keyboard.type('max')
    await page.waitForURL(`${url}/admin/people?q=max`)
    await page.waitForSelector('tbody tr:only-child')
    t.equal(await page.evaluate('document.activeElement.id'), 'filter-q')
    await page.selectOption('#filter-staff', 'true')
    await page.waitForURL(`${url}/admin/people?q=max&staff=true`)
    await page.click('[rel=next][href*="staff=true"]')
    await page.waitForURL(`${url}/admin/people?q=max&staff=true&after=cursor`)
    t.equal(await page.inputValue('#filter-q'), 'max')
    await page.click('#nav-people')
    await page.waitForURL(`${url}/admin/people`)
    t.equal(await page.evaluate('window.sameDocument'), true, 'no document was loaded')
    t.equal(await page.evaluate('document.activeElement.id'), 'nav-people')
    await page.click('text=Max Mustermann')
    await page.waitForURL(`${url}/admin/people/${ID}`)
    await page.waitForSelector('#main:focus')
    const stored: string[] = await page.evaluate('[...Object.keys(localStorage), ...Object.keys(sessionStorage)]')
    t.strictSame(stored, ['htmx-current-path-for-history'], 'the address is stored, and nothing of a page')
    await page.goBack()
    await page.waitForURL(`${url}/admin/people`)
    await page.waitForSelector('#filter-q')
    await page.goto(`${url}/admin/people`)
    await page.click('#nav-groups')
    await page.waitForSelector('[data-field="code"]')
    t.equal(await page.textContent('[data-field="code"]'), 'not_found', 'an answer with an error is shown')
    t.strictSame(refusals, [])
    await page.close()
  })

  await t.test('without JavaScript filters are forms and pages are links', async (t) => {
    const context = await chromium.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 700 } })
    const page = await context.newPage()
    await page.goto(`${url}/admin/people`)
    await page.fill('#filter-q', 'max')
    await page.click('.filters button')
    await page.waitForURL(`${url}/admin/people?q=max&staff=&notSeenDays=`)
    t.equal(await page.locator('tbody tr').count(), 1)
    await page.click('#menu')
    await page.click('#menu-people')
    await page.waitForURL(`${url}/admin/people`)
    await context.close()
  })

  await t.test('the keyboard reaches the skip link first, then navigation, filters, rows and pages', async (t) => {
    const page = await chromium.newPage({ viewport: { width: 1280, height: 800 } })
    await page.goto(`${url}/admin/people`)
    const reached: string[] = []
    for (let each = 0; each < 40; each++) {
      await page.keyboard.press('Tab')
      reached.push(await page.evaluate('document.activeElement.id || document.activeElement.textContent.trim()'))
    }
    t.equal(reached[0], 'Skip to content')
    for (const stop of ['nav-overview', 'nav-system', 'filter-q', 'filter-staff', 'Apply', 'Max Mustermann']) {
      t.ok(reached.includes(stop), stop)
    }
    t.ok(reached.indexOf('nav-overview') < reached.indexOf('filter-q'))
    t.ok(reached.includes('Next page'))
    await page.goto(`${url}/admin/people`)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    t.equal(await page.evaluate('document.activeElement.id'), 'filter-q', 'the skip link leads behind the navigation')
    await page.close()
  })
})
