// What a preview of a draft has found: counts, users who gain and lose rights, and requests that would be decided
// otherwise.
import type { RightCount } from '../../../core/change-ranking.js'
import type {
  PreviewedDecision,
  PreviewedRequest,
  PreviewedRequests,
  PreviewedUser,
  PreviewResult,
} from '../../../core/policy-preview.js'
import { html, type Html } from '../../pages/html.js'
import { decisionTag, emptyState, facts, idText, nameText, note, section, tag, timeText } from './components.js'
import { linkTo } from './links.js'
import { shortList } from './lists.js'
import { shortened } from './shortened.js'
import { dataTable } from './table.js'

const SHORT_HASH = 12
/** Of the preview; the API has the others. */
const MOST_SHOWN = 50

/** The counts of a preview. @param by added to the first one @param more further facts */
export function previewFacts(
  { users, changed, gains, losses, newSuperusers, live, unavailable }: PreviewResult,
  by: Html | '',
  more: Parameters<typeof facts>[0],
): Html {
  return html`${
    newSuperusers > 0
      ? note(`${newSuperusers} ${newSuperusers === 1 ? 'user' : 'users'} would become superuser.`, 'warn')
      : ''
  }${
    facts([
      ['Changed', html`${changed} of ${users} active users${by}`],
      ['Gain a right', gains],
      ['Lose a right', losses],
      ['New superusers', newSuperusers],
      ['Entra groups', live ? html`${tag('live', 'info')} read from Microsoft Graph for it` : 'of the stored readings'],
      ['Cannot sign in', unavailable === 0 ? undefined : html`${unavailable}: disabled or deleted in Entra ID`],
      ...more,
    ])
  }`
}

export function resultOf(result: PreviewResult): Html {
  const { changed, oldestReading, newestReading, hash, changes } = result
  const more = changed - Math.min(changes.length, MOST_SHOWN)
  const read = oldestReading === null
    ? undefined
    : html`from ${timeText(oldestReading)} to ${timeText(newestReading)}`
  return html`${
    previewFacts(result, '', [
      ['Read', read],
      ['Hash', html`<span title="${hash}">${idText(hash.slice(0, SHORT_HASH))}</span>`],
    ])
  }${section({ id: 'users', title: 'Users', content: usersTable(changes.slice(0, MOST_SHOWN)) })}${
    more > 0 ? html`<p class="soft">And ${more} more users. Those above have the gravest changes.</p>` : ''
  }${section({ id: 'rights', title: 'Rights', content: countsTable(result.counts) })}${
    section({ id: 'requests', title: 'Requests', ...requestsOf(result.sampled) })
  }`
}

function usersTable(changes: readonly PreviewedUser[]): Html {
  return dataTable<PreviewedUser>({
    caption: 'Users who gain or lose rights',
    rows: changes,
    columns: [
      {
        heading: 'User',
        cell: ({ userId, username }) =>
          html`<a href="${linkTo('people', userId)}">${nameText(shortened(username))}</a>`,
        kind: 'name',
      },
      { heading: 'Gains', cell: (user) => rights(user, 1), kind: 'text' },
      { heading: 'Loses', cell: (user) => rights(user, -1), kind: 'text' },
      { heading: 'Read', cell: ({ readAt }) => timeText(readAt), kind: 'time' },
    ],
    empty: emptyState({ title: 'No user would gain or lose anything.', next: 'See what else the draft changes.' }),
  })
}

function rights({ superuser, staff, gained, lost, moreGained, moreLost }: PreviewedUser, direction: 1 | -1): Html {
  const [groups, more] = direction === 1 ? [gained, moreGained] : [lost, moreLost]
  const flags = [
    ...superuser === direction ? [tag('superuser', direction === 1 ? 'bad' : 'warn')] : [],
    ...staff === direction ? [tag('staff', 'info')] : [],
  ].map((each) => html`${each} `)
  const all = [...groups, ...Array<string>(more).fill('')]
  return html`${flags}${shortList(all, (name) => nameText(shortened(name)))}`
}

function countsTable(counts: readonly RightCount[]): Html {
  return dataTable<RightCount>({
    caption: 'Rights that users gain or lose',
    rows: counts.slice(0, MOST_SHOWN),
    columns: [
      { heading: 'Right', cell: ({ right }) => nameText(shortened(right)) },
      { heading: 'Gain it', cell: ({ gain }) => gain, kind: 'number' },
      { heading: 'Lose it', cell: ({ lose }) => lose, kind: 'number' },
    ],
    empty: emptyState({ title: 'None.', next: 'The mapping grants every user the same as now.' }),
  })
}

function requestsOf(sampled: PreviewedRequests | null): { lead?: string, content: Html } {
  if (sampled === null) {
    const next = html`Set <code>access.sample</code> to note some of them.`
    return { content: emptyState({ title: 'No requests are noted.', next }) }
  }
  const { compared, differing, undecided, requests } = sampled
  const shown = requests.slice(0, MOST_SHOWN)
  return {
    lead:
      'Of the requests that were noted in the last day, those that would be decided otherwise: now by the policy in ' +
      'force and the rights that the users have, then by the draft and the rights that its mapping gives.',
    content: html`${
      facts([
        ['Decided otherwise', `${differing} of ${compared} different requests`],
        [
          'Not comparable',
          undecided === 0 ? undefined : html`${undecided}: they depend on the address, which is not kept`,
        ],
      ])
    }${
      shown.some(({ isCut }) => isCut)
        ? note(
          html`Of a path three segments are kept at most. One that ends in <code>…</code> went on: about the whole of
it, other rules may decide.`,
        )
        : ''
    }${requestsTable(shown)}${
      differing > shown.length
        ? html`<p class="soft">And ${
          differing - shown.length
        } more. Those above would be let in, or are the most frequent
ones.</p>`
        : ''
    }`,
  }
}

function requestsTable(requests: readonly PreviewedRequest[]): Html {
  return dataTable<PreviewedRequest>({
    caption: 'Requests that would be decided otherwise',
    rows: requests,
    columns: [
      { heading: 'User', cell: sender, kind: 'name' },
      { heading: 'Request', cell: requestText, kind: 'text' },
      { heading: 'Noted', cell: ({ count }) => count, kind: 'number' },
      { heading: 'Now', cell: ({ now, decidedBy }) => html`${decisionText(now)}${actualRule(now, decidedBy)}` },
      { heading: 'Then', cell: ({ then }) => decisionText(then) },
    ],
    empty: emptyState({
      title: 'No request that was noted would be decided otherwise.',
      next: 'Try others on the page Test.',
    }),
  })
}

function sender({ userId, username }: PreviewedRequest): Html {
  if (userId === null || username === null) return html`<span class="soft">without a session</span>`
  return html`<a href="${linkTo('people', userId)}">${nameText(shortened(username))}</a>`
}

function requestText({ method, host, path, isCut }: PreviewedRequest): Html {
  const rest = isCut ? `${path.endsWith('/') ? '' : '/'}…` : ''
  return html`<code>${method} ${host}${path}${rest}</code>`
}

function decisionText({ decision, rule: { path, name } }: PreviewedDecision): Html {
  return html`${decisionTag(decision)} ${nameText(shortened(name ?? path))}`
}

/** About a path that was cut, or with an address, another rule may have decided than the one that is found now. */
function actualRule({ rule }: PreviewedDecision, decidedBy: PreviewedRequest['decidedBy']): Html {
  if (decidedBy === null || decidedBy.path === rule.path) return html``
  return html` <span class="soft">(decided by ${nameText(shortened(decidedBy.name ?? decidedBy.path))})</span>`
}
