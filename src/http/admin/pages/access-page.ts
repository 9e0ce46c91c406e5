// Access: the rules in order, whom each one lets in, what is wrong with it, and how often it decided.
import { RULE_FILTERS, RULES, type RuleView, type WouldHave } from '../../../admin/access.js'
import type { PolicyFinding } from '../../../core/policy.js'
import { html, type Html } from '../../pages/html.js'
import { emptyState, lineText, nameText, note, section, tag, timeText } from './components.js'
import type { AdminActor } from '../actor.js'
import { draftLink, editLink } from './draft-link.js'
import { link } from './links.js'
import { shortList } from './lists.js'
import { defineAdminPage } from './page.js'
import { positionFilters, positionQuery, positionResults, type PositionQuery } from './position-list.js'
import { shortened } from './shortened.js'
import { dataTable, type Column } from './table.js'

const PATH = '/admin/access'
/** A message may name every rule that it is about. */
const LONGEST_MESSAGE = 400

const QUERY = positionQuery(RULE_FILTERS)

export const accessPage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'Access',
  query: QUERY,
  async render({ query, actor, useCases: { access } }) {
    const [{ rows, next }, byDefault] = await Promise.all([access.rules(query), access.byDefault()])
    const list = ruleTable(rows, byDefault, query, actor)
    return {
      title: 'Access',
      lead: 'The first rule that matches a request decides. Superusers pass every rule.',
      content: html`${draftLink(actor)}${filters(query, byDefault)}
${positionResults(list, { path: PATH, query, next })}
${defaultSection(byDefault)}`,
    }
  },
})

/** A link to a rule, wherever its page begins. @param path its key, such as `access.rules[2]` */
export function ruleLink({ path, name }: { readonly path: string, readonly name?: string | null | undefined }): Html {
  const shown = name === null || name === undefined ? html`<code>${path}</code>` : nameText(name)
  const index = /^access\.rules\[(\d+)\]$/.exec(path)?.[1]
  if (index === undefined) return html`<a href="${PATH}#default">${shown}</a>`
  return html`<a href="${link(PATH, { after: Number(index) < RULES ? undefined : index })}#rule-${index}">${shown}</a>`
}

/** A rule that decides nothing. */
export const SHADOW = tag('shadow', 'warn')

function filters(query: PositionQuery, { hits }: RuleView): Html {
  return positionFilters({
    path: PATH,
    label: 'Filter the rules',
    query,
    search: 'Name, host, path, method, group or permission',
    options: [
      { value: '', label: 'All rules' },
      { value: 'findings', label: 'Rules with findings' },
      { value: 'shadow', label: 'Shadow rules' },
      ...hits === undefined ? [] : [{ value: 'idle', label: 'Rules without a hit in 30 days' }],
    ],
  })
}

function ruleTable(
  rows: readonly RuleView[],
  byDefault: RuleView,
  { q, only, after }: PositionQuery,
  actor: AdminActor,
): Html {
  const isFiltered = q !== undefined || only !== undefined || after !== undefined
  return dataTable({
    caption: 'Access rules',
    columns: columnsOf(byDefault.hits !== undefined, actor),
    rows,
    empty: isFiltered
      ? emptyState({ title: 'No rule matches.', next: html`<a href="${PATH}">Show all rules</a>` })
      : emptyState({
        title: 'There are no access rules.',
        next: html`What holds for every request is below. Rules are written in <code>access.rules</code>.`,
      }),
  })
}

function columnsOf(counted: boolean, actor: AdminActor): readonly Column<RuleView>[] {
  return [
    { heading: 'Rule', kind: 'code', cell: (rule) => html`${ruleName(rule)}${editRule(actor, rule)}` },
    { heading: 'Requests', cell: requestsOf },
    { heading: 'Lets in', cell: letsIn },
    ...counted ? hitColumns : [],
  ]
}

const hitColumns: readonly Column<RuleView>[] = [
  { heading: '24 hours', cell: ({ hits }) => hits?.day, kind: 'number' },
  { heading: '7 days', cell: ({ hits }) => hits?.week, kind: 'number' },
  { heading: '30 days', cell: ({ hits }) => hits?.month, kind: 'number' },
  { heading: 'Last hit', cell: ({ hits }) => timeText(hits?.lastHit, 'none in 30 days'), kind: 'time' },
]

function ruleName({ rule, name, enforced, dead, position }: RuleView): Html {
  const id = `rule-${/\d+/.exec(rule)?.[0] ?? ''}`
  const shown = name === null ? html`<code>${rule}</code>` : html`${nameText(name)} <code class="soft">${rule}</code>`
  const marks = html`${enforced ? '' : html` ${SHADOW}`}${dead ? html` ${tag('no hit in 30 days', 'warn')}` : ''}`
  return html`<a id="${id}" href="#${id}">${shown}</a>${lineText(position)}${marks}`
}

function editRule(actor: AdminActor, { rule }: RuleView): Html | string {
  const index = /^access\.rules\[(\d+)\]$/.exec(rule)?.[1]
  return index === undefined ? '' : editLink(actor, 'rule', Number(index) + 1)
}

function letsIn({ allows, findings, wouldHave }: RuleView): Html {
  return html`${allows}${wouldHave === undefined ? '' : shadowCounts(wouldHave)}${foldedFindings(findings)}`
}

/** What would change if the rule were enforced: the reason to enforce it, or not to. */
function shadowCounts({ refused, letIn }: WouldHave): Html {
  const counts = ({ day, week, month }: WouldHave['refused']) =>
    html`${day} in 24 hours, ${week} in 7 days, ${month} in 30 days`
  const wouldLetIn = letIn.month === 0 ? '' : html`<br>Would have let in: ${counts(letIn)}.`
  return html`<p class="soft">Would have refused: ${counts(refused)}.${wouldLetIn}</p>`
}

function requestsOf({ hosts, methods, paths, networks }: RuleView): Html {
  const code = (text: string): Html => html`<code>${text}</code>`
  return html`${methods === null ? '' : html`${shortList(methods, code)} of `}${shortList(hosts ?? [], code)}${
    paths === null ? '' : html`, ${shortList(paths, code)}`
  }${networks === null ? '' : html`, from ${shortList(networks, code)}`}`
}

/** Folded, so that the rules stay one below the other; the number is always seen. */
function foldedFindings(findings: readonly PolicyFinding[]): Html | string {
  if (findings.length === 0) return ''
  const count = `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}`
  return html`<details class="findings"><summary>${tag(count, 'warn')}</summary>${findingList(findings)}</details>`
}

function findingList(findings: readonly PolicyFinding[]): Html {
  return html`${
    findings.slice(0, 5).map(({ message, remedy }) =>
      html`<p>${shortened(message, LONGEST_MESSAGE)}${
        remedy === undefined ? '' : html` <span class="soft">${remedy}</span>`
      }</p>`
    )
  }`
}

function defaultSection(byDefault: RuleView): Html {
  const { allows, hits, findings } = byDefault
  const counts = hits === undefined
    ? ''
    : html`<p>It decided ${hits.day} times in 24 hours, ${hits.week} in 7 days, ${hits.month} in 30 days; last: ${
      timeText(hits.lastHit, 'not in 30 days')
    }.</p>`
  return section({
    id: 'default',
    title: 'Requests that no rule matches',
    lead: html`<code>access.default</code> lets in ${allows}.`,
    content: html`${counts}${findings.length === 0 ? '' : note(findingList(findings), 'warn')}`,
  })
}
