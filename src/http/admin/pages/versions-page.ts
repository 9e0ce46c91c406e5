// Versions of the policy: the list, one version, and what differs between two.
import Type from 'typebox'
import type { PolicyChange, VersionsDiff } from '../../../admin/policy-versions.js'
import type { VersionDetails, VersionFinding, VersionSummary } from '../../../core/policy-version.js'
import { html, type Html } from '../../pages/html.js'
import { VersionNumber } from '../api/policy-schemas.js'
import { approvalsSection } from './approvals.js'
import { applicationSection } from './applications.js'
import { draftLink, versionLinks } from './draft-link.js'
import { emptyState, facts, idText, nameText, note, section, tag, timeText } from './components.js'
import { filterForm } from './filter-form.js'
import { link, linkTo } from './links.js'
import { shortList } from './lists.js'
import { PAGE_ROWS } from './list-cursor.js'
import { defineAdminPage } from './page.js'
import { dataTable, pager, results } from './table.js'

const PATH = '/admin/versions'
const DIFF_PATH = '/admin/versions/diff'
const TRAIL = [{ label: 'Versions', href: PATH }]

/** The first lines of a text; the file has all of it. */
const LINES = 400
const CHANGES = 100
const SHORT_HASH = 12

export const versionsPage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'Versions',
  query: Type.Object({ after: Type.Optional(VersionNumber) }),
  async render({ query, useCases }) {
    const { rows, next } = await useCases.policyVersions.list({ after: query.after, limit: PAGE_ROWS })
    const isSingle = rows.length < 2 && query.after === undefined
    const table = html`${versionsTable(rows)}${pager({ path: PATH, query, next: next?.toString() })}`
    return {
      title: 'Versions',
      lead: 'Each policy that a replica has loaded: mapping, access rules, pipeline and headers, and which one runs.',
      content: html`${isSingle ? '' : compareForm(undefined, undefined)}${results(table)}`,
    }
  },
})

export const versionPage = defineAdminPage({
  path: '/admin/versions/:number',
  permission: 'gatehouse.read',
  title: 'Version',
  params: Type.Object({ number: VersionNumber }),
  async render({ params: { number }, useCases, actor }) {
    const { policyVersions, policyApprovals, policyApplications, policyDrafts: { source, inForce } } = useCases
    const [version, approvals, application, current] = await Promise.all([
      policyVersions.get(number),
      policyApprovals.ofVersion(number),
      policyApplications.find(number),
      inForce(),
    ])
    const isInForce = number === current
    const acts = source === 'file' ? '' : versionLinks(number, isInForce)
    return {
      title: `Version ${number}`,
      lead: html`${timeText(version.at)}${version.message === '' ? '' : html` · ${nameText(version.message)}`}`,
      trail: TRAIL,
      content: html`${draftLink(actor, number, acts)}${factsOf(version)}${
        applicationSection(number, application, isInForce && source === 'database')
      }${isInForce || source === 'file' ? '' : approvalsSection(approvals)}
${section({ id: 'findings', title: 'Findings of check', content: findingsTable(version.findings) })}
${
        section({
          id: 'text',
          title: 'Policy',
          lead: html`<a href="${linkTo('versions', String(number))}/policy.yaml" download>Download policy.yaml</a>`,
          content: textOf(version.text),
        })
      }`,
    }
  },
})

export const versionsDiffPage = defineAdminPage({
  path: DIFF_PATH,
  permission: 'gatehouse.read',
  title: 'Compare versions',
  query: Type.Object({ from: Type.Optional(VersionNumber), to: Type.Optional(VersionNumber) }),
  async render({ query, useCases }) {
    if (query.from === undefined) {
      return { title: 'Compare versions', trail: TRAIL, content: compareForm(undefined, query.to) }
    }
    const diff = await useCases.policyVersions.diff(query.from, query.to)
    const [from, to] = [diff.from.number, diff.to.number]
    return {
      title: `Version ${from} and version ${to}`,
      trail: TRAIL,
      content: html`${compareForm(from, to)}
${section({ id: 'changes', title: 'Changes', content: changesTable(diff.changes) })}
${section({ id: 'lines', title: 'Lines', lead: patchLink(diff), content: patchListing(diff.patch) })}`,
    }
  },
})

function versionsTable(rows: readonly VersionSummary[]): Html {
  return dataTable<VersionSummary>({
    caption: 'Versions of the policy',
    rows,
    columns: [
      { heading: 'Version', cell: ({ number }) => html`<a href="${linkTo('versions', String(number))}">${number}</a>` },
      { heading: 'Since', cell: ({ at }) => timeText(at), kind: 'time' },
      { heading: 'By', cell: ({ author, authorName }) => nameText(authorName ?? author), kind: 'name' },
      { heading: 'Message', cell: ({ message }) => message === '' ? soft('none') : nameText(message), kind: 'text' },
      { heading: 'Gains, losses', cell: gainsOf },
      { heading: 'Run by', cell: runBy },
      { heading: 'Compare', cell: compareLink },
    ],
    empty: emptyState({
      title: 'No version is recorded yet.',
      next: 'A replica adds the policy that it has loaded within a second: reload the page.',
    }),
  })
}

function gainsOf({ gains, losses }: VersionSummary): Html {
  return gains === null || losses === null ? soft('not counted') : html`${gains}, ${losses}`
}

function runBy({ replicas }: VersionSummary): Html {
  return replicas.length === 0 ? soft('no replica at this moment') : shortList(replicas, nameText, 3)
}

function compareLink({ number, parent }: VersionSummary): Html {
  if (parent === null) return soft('the first')
  return html`<a href="${link(DIFF_PATH, { from: parent, to: number })}">with ${parent}</a>`
}

function soft(text: string): Html {
  return html`<span class="soft">${text}</span>`
}

function compareForm(from: number | undefined, to: number | undefined): Html {
  return filterForm({
    path: DIFF_PATH,
    label: 'Compare two versions',
    submit: 'Compare',
    fields: [
      { kind: 'number', name: 'from', label: 'Version', value: from, min: 1 },
      { kind: 'number', name: 'to', label: 'with version', value: to, min: 1, hint: 'Empty: the newest' },
    ],
  })
}

function factsOf(version: VersionDetails): Html {
  const { hash, source, author, authorName, parent, number, replicas, release, gains, losses } = version
  return facts([
    ['Added by', nameText(authorName ?? author)],
    ['Source', source === 'file' ? 'the configuration file of a replica' : 'deployed'],
    ['Run by', replicas.length === 0 ? soft('no replica at this moment') : shortList(replicas, nameText, 10)],
    ['Gains, losses', gains === null || losses === null ? soft('not counted') : html`${gains}, ${losses}`],
    [
      'Compare',
      parent === null
        ? soft('the first version')
        : html`<a href="${link(DIFF_PATH, { from: parent, to: number })}">with version ${parent}</a>`,
    ],
    ['Release', `Gatehouse ${release}`],
    ['Hash', html`<span title="${hash}">${idText(hash.slice(0, SHORT_HASH))}</span>`],
  ])
}

function findingsTable(findings: readonly VersionFinding[]): Html {
  return dataTable<VersionFinding>({
    caption: 'Findings',
    rows: findings.slice(0, CHANGES),
    columns: [
      { heading: 'Key', cell: ({ path }) => idText(path) },
      { heading: 'Finding', cell: ({ message, code }) => message ?? soft(code), kind: 'text' },
    ],
    empty: emptyState({ title: 'None.', next: 'gatehouse check warned of nothing when this version was loaded.' }),
  })
}

function textOf(text: string): Html {
  if (text === '') {
    return emptyState({ title: 'The policy is empty.', next: 'Every key has its default value.' })
  }
  const lines = text.split('\n')
  const more = lines.length - LINES
  return html`${listing('The policy', html`${lines.slice(0, LINES).join('\n')}`)}${
    more > 0 ? html`<p class="soft">${more} more lines are in the file.</p>` : ''
  }`
}

export function listing(label: string, content: Html): Html {
  return html`<div class="scroll" role="group" tabindex="0" aria-label="${label}"><pre>${content}</pre></div>`
}

export function changesTable(changes: readonly PolicyChange[]): Html {
  const more = changes.length - CHANGES
  const table = dataTable<PolicyChange>({
    caption: 'Changes',
    rows: changes.slice(0, CHANGES),
    columns: [
      { heading: 'Key', cell: ({ path }) => idText(path) },
      { heading: 'Before', cell: ({ before }) => valueOf(before, 'added'), kind: 'text' },
      { heading: 'After', cell: ({ after }) => valueOf(after, 'removed'), kind: 'text' },
    ],
    empty: emptyState({
      title: 'Both have the same meaning.',
      next: 'At most comments or the order of keys differ.',
    }),
  })
  return html`${table}${more > 0 ? html`<p class="soft">${more} more changes are in the patch.</p>` : ''}`
}

function valueOf(json: string | null, otherwise: 'added' | 'removed'): Html {
  if (json === null) return tag(otherwise, otherwise === 'added' ? 'good' : 'warn')
  return html`<code>${json.length > 500 ? `${json.slice(0, 500)} …` : json}</code>`
}

function patchLink({ from, to, patch }: VersionsDiff): Html | string {
  if (patch === undefined) return ''
  const address = link(`${PATH}/diff.patch`, { from: from.number, to: to.number })
  return html`<a href="${address}" download>Download the patch</a>`
}

/** @param patch undefined: it takes too long */
export function patchListing(patch: string | undefined): Html {
  if (patch === undefined) {
    return note('The two texts have too little in common to be compared line by line. Download both.')
  }
  const lines = patch.split('\n')
  const more = lines.length - LINES
  const shown = lines.slice(0, LINES).map(patchLine)
  return html`${listing('Lines that differ', html`${shown}`)}${
    more > 0 ? html`<p class="soft">${more} more lines are in the patch.</p>` : ''
  }`
}

/** Added and removed lines are elements, so that the difference is not a matter of colour alone. */
function patchLine(line: string): Html {
  if (/^\+(?!\+\+)/.test(line)) return html`<ins>${line}</ins>\n`
  return /^-(?!--)/.test(line) ? html`<del>${line}</del>\n` : html`${line}\n`
}
