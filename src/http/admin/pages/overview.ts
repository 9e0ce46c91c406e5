// The first page of the console: who is signed in, what was answered and refused, who is superuser, and what to do.
import Type from 'typebox'
import { SILENT_SECONDS, type Health } from '../../../admin/health.js'
import {
  barsOf,
  RANGES,
  refusalBarsOf,
  refusalsOf,
  type Answers,
  type Overview,
  type Range,
  type Refusal,
} from '../../../admin/overview.js'
import type { SuperuserChange } from '../../../core/overview.js'
import { html, type Html } from '../../pages/html.js'
import { barChart, type BarChart } from './bar-chart.js'
import { emptyState, facts, figures, nameText, section, tabs, tag, timeText } from './components.js'
import { link, linkTo } from './links.js'
import { defineAdminPage } from './page.js'
import { credentialText, databaseText, partText, reachText, replicasLine, syncText, todoList } from './system-parts.js'
import { dataTable } from './table.js'

const TITLES: Readonly<Record<Range, string>> = { '24h': '24 hours', '7d': '7 days', '30d': '30 days' }
/** More rows than these say nothing on one screen. */
const MAX_REFUSALS = 15
const MAX_LINKS = 31

export const overviewPage = defineAdminPage({
  path: '/admin',
  permission: 'gatehouse.read',
  title: 'Overview',
  query: Type.Object({ range: Type.Optional(Type.String({ enum: Object.keys(RANGES) })) }),
  async render({ query, useCases }) {
    const range = (query.range ?? '24h') as Range
    const overview = await useCases.overview.read(range)
    const { health, answers, superusers } = overview
    return {
      title: 'Overview',
      content: html`${numbers(overview)}
${section({ id: 'todo', title: 'To do', content: todoList(health.todo) })}
${
        section({
          id: 'answers',
          title: 'Sign-ins and answers',
          content: html`${ranges(range)}${partText(answers, charts)}`,
        })
      }
${section({ id: 'refusals', title: 'Refusals', content: partText(answers, refusals) })}
${
        section({
          id: 'superusers',
          title: 'Superusers',
          content: html`${partText(answers, levels)}${
            partText(superusers, ({ value: { changes } }) => changeTable(changes))
          }<p><a href="/admin/superusers">Who was superuser at another time</a></p>`,
        })
      }
${section({ id: 'state', title: 'State', content: state(health) })}`,
    }
  },
})

function numbers({ signedIn, superusers }: Overview): Html {
  const people = signedIn.state === 'read' ? signedIn.value : undefined
  const rights = superusers.state === 'read' ? superusers.value : undefined
  const unknown = 'not known now'
  const changes = rights?.value.changes ?? []
  const count = (change: SuperuserChange['change']) => changes.filter((each) => each.change === change).length
  return html`${
    figures([
      {
        label: 'Signed in now',
        value: people?.value.people ?? '–',
        href: '/admin/sessions',
        lead: people === undefined ? unknown : `in ${people.value.sessions} sessions`,
      },
      {
        label: 'Superusers',
        value: rights?.value.count ?? '–',
        href: link('/admin/people', { superuser: true }),
        lead: rights === undefined ? unknown : `+${count('gained')} −${count('lost')} this week`,
      },
    ])
  }${people === undefined ? '' : html`<p class="soft">Counted at ${timeText(people.readAt)}.</p>`}`
}

function ranges(current: Range): Html {
  return tabs({
    label: 'Time shown',
    items: (Object.keys(RANGES) as Range[]).map((range) => ({
      title: TITLES[range],
      href: link('/admin', { range }),
      current: range === current,
    })),
  })
}

function charts(counted: Answers): Html {
  const { answers, signIns, bucket, readAt } = counted
  const labels = labelsOf(answers.buckets, bucket === 'day')
  // a link for each of 168 hours would be a third of the page
  const times = labels.length > MAX_LINKS ? labels : labels.map(({ label }, at) => ({
    label,
    href: auditOf(answers.buckets[at] ?? new Date(0), bucket),
  }))
  const bars = barsOf(answers)
  const logins = barsOf(signIns)
  const common = { buckets: times } satisfies Partial<BarChart>
  return html`${
    barChart({
      ...common,
      id: 'sign-ins',
      title: 'Sign-ins',
      series: [{ name: 'Completed', values: logins.good }, { name: 'Failed', values: logins.refused }],
    })
  }${
    barChart({
      ...common,
      buckets: labels,
      id: 'answers-chart',
      title: 'Answers to proxies',
      series: [
        { name: 'Allowed', values: bars.good },
        { name: 'Refused', values: bars.refused },
        { name: 'Anonymous', values: bars.anonymous },
      ],
    })
  }<p class="soft">Counted at ${timeText(readAt)}; what happened in the last minute is not in it yet.</p>`
}

function auditOf(start: Date, bucket: Answers['bucket']): string {
  const end = new Date(start.getTime() + (bucket === 'day' ? 86_400_000 : 3_600_000))
  return link('/admin/audit', { action: 'login', since: start.toISOString(), until: end.toISOString() })
}

function labelsOf(starts: readonly Date[], areDays: boolean): BarChart['buckets'] {
  return starts.map((start) => ({ label: start.toISOString().slice(0, areDays ? 10 : 16).replace('T', ' ') }))
}

/** Hour by hour, or the most of each day. */
function levels({ levels: { buckets, bucket, series } }: Answers): Html {
  const counts = series.find(({ key }) => key === 'superusers')?.counts
  if (counts === undefined) return html`<p class="soft">Superusers are counted once an hour, and have not been yet.</p>`
  return barChart({
    id: 'superusers-chart',
    title: bucket === 'day' ? 'Superusers, the most of each day' : 'Superusers at each hour',
    level: true,
    series: [{ name: 'Superusers', values: counts }],
    buckets: labelsOf(buckets, bucket === 'day'),
  })
}

function refusals(answers: Answers): Html {
  return html`${refusalChart(answers)}${refusalTable(answers)}`
}

function refusalChart(answers: Answers): Html | '' {
  const { buckets, causes } = refusalBarsOf(answers)
  if (causes.length === 0) return ''
  const areDays = answers.range !== '24h'
  return barChart({
    id: 'refusals-chart',
    title: areDays ? 'Refusals by cause, each day' : 'Refusals by cause',
    series: causes.map(({ code, counts }) => ({ name: code ?? 'Other codes', values: counts })),
    buckets: labelsOf(buckets, areDays),
  })
}

function refusalTable(answers: Answers): Html {
  return dataTable({
    caption: 'Refusals by code',
    columns: [
      { heading: 'Code', kind: 'code', cell: ({ code }: Refusal) => html`<code>${code}</code>` },
      { heading: 'Of', cell: ({ of }) => of === 'answer' ? 'requests to applications' : 'sign-ins' },
      { heading: 'Count', kind: 'number', cell: ({ count }) => count },
      { heading: 'What it says', kind: 'text', cell: ({ sentence }) => sentence ?? 'several rare codes' },
      { heading: 'What to do', cell: remedyOf },
    ],
    rows: refusalsOf(answers).slice(0, MAX_REFUSALS),
    empty: emptyState({ title: 'Nothing was refused.', next: 'Choose a longer time to see earlier refusals.' }),
  })
}

function remedyOf({ code, of }: Refusal): Html {
  if (code === 'not_allowed') return html`<a href="/admin/access">See which access rule refuses</a>`
  if (code === 'not_mapped') return html`<a href="/admin/mapping">See what the mapping grants</a>`
  if (code === 'database_unavailable') return html`<a href="/admin/system#database">See the database</a>`
  if (/^(?:entra|graph)_/.test(code)) return html`<a href="/admin/system#parts">See Entra ID and Graph</a>`
  return of === 'answer'
    ? html`docs/errors.md explains it`
    : html`<a href="/admin/audit?action=login.refused">See refused sign-ins</a>`
}

function changeTable(changes: readonly SuperuserChange[]): Html {
  return dataTable({
    caption: 'Who became superuser this week, and who was one',
    columns: [
      { heading: 'User', kind: 'name', cell: userOf },
      { heading: 'Change', cell: ({ change }) => change === 'gained' ? tag('gained', 'strong') : tag('lost') },
      { heading: 'Time', kind: 'time', cell: ({ at }) => timeText(at) },
    ],
    rows: changes,
    empty: emptyState({
      title: 'No user became superuser this week, and none lost it.',
      next: html`<a href="/admin/people?superuser=true">See all superusers</a>`,
    }),
  })
}

function userOf({ userId, username }: SuperuserChange): Html {
  const name = username === null ? html`<span class="soft">removed user</span>` : nameText(username)
  return userId === null ? name : html`<a href="${linkTo('people', userId)}">${name}</a>`
}

function state(health: Health): Html {
  return html`${
    facts([
      ['Replicas', replicasLine(health, SILENT_SECONDS)],
      ['Entra ID', reachText(health.entra.entra)],
      ['Microsoft Graph', reachText(health.entra.graph)],
      ['Re-evaluation', syncText(health)],
      ['Database', databaseText(health)],
      ['Credential', credentialText(health)],
    ])
  }<p><a href="/admin/system">All of the system</a></p>`
}
