// Test: what a proxy would be answered about a request of somebody, and why. A form that changes nothing, so that its
// result has an address to keep.
import { Type, type Static } from 'typebox'
import { expectationLine } from '../../../admin/access-check.js'
import type {
  AccessTestInput,
  AccessTestResult,
  TestedInterpretation,
  TestedShadowRule,
  TestNote,
} from '../../../admin/access-test.js'
import type { JudgedRule } from '../../../admin/evaluated.js'
import { GatehouseError, type ErrorCode } from '../../../core/errors.js'
import { ASSERTION_HEADER, type HeaderPair } from '../../../core/identity-headers.js'
import { targetUrl } from '../../../core/target.js'
import { html, type Html } from '../../pages/html.js'
import { ruleLink } from './access-page.js'
import { emptyState, facts, nameText, note, section, tag, timeText } from './components.js'
import { filterForm } from './filter-form.js'
import { linkTo } from './links.js'
import { shortList } from './lists.js'
import { defineAdminPage, type PageRequest } from './page.js'
import { dataTable, results } from './table.js'

const PATH = '/admin/test'
const text = () => Type.Optional(Type.String())

const QUERY = Type.Object({ url: text(), method: text(), user: text(), entraGroups: text(), address: text() })
type Query = Static<typeof QUERY>

export const testPage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'Test',
  query: QUERY,
  render: async (request) => ({
    title: 'Test',
    lead: 'Whether a request would be allowed, which rule decides, and what the application would get.',
    content: html`${form(request.query)}${results(await outcome(request))}`,
  }),
})

function form({ url, method = 'GET', user, entraGroups, address }: Query): Html {
  return filterForm({
    path: PATH,
    label: 'Test a request',
    fields: [
      { kind: 'search', name: 'url', label: 'Address', value: url, maxLength: 4_000, hint: 'https://host/path' },
      { kind: 'text', name: 'method', label: 'Method', value: method, maxLength: 40 },
      { kind: 'text', name: 'user', label: 'User', value: user, hint: 'Username, UPN, e-mail or id; empty: anonymous' },
      {
        kind: 'text',
        name: 'entraGroups',
        label: 'Or Entra groups',
        value: entraGroups,
        maxLength: 4_000,
        hint: 'Object IDs, separated by commas',
      },
      { kind: 'text', name: 'address', label: 'Client address', value: address, hint: 'For rules with networks' },
    ],
    submit: 'Test',
  })
}

/** What the input can be wrong about; everything else is an error of the page. */
const INPUT_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'target_malformed',
  'user_unknown',
  'user_ambiguous',
  'object_id_invalid',
  'request_malformed',
])

async function outcome({ query, useCases: { accessTest } }: PageRequest<Query, unknown>): Promise<Html> {
  const { url, method = 'GET', user, entraGroups, address } = query
  if (Object.keys(query).every((name) => name === 'method')) {
    return emptyState({
      title: 'No request is tested yet.',
      next: 'Write the address of an application above. Without a user, the request is anonymous.',
    })
  }
  if (url === undefined) return finding('target_malformed', 'The address is missing.', 'Write it as https://host/path.')
  try {
    const ids = entraGroups?.split(/[\s,]+/).filter((id) => id !== '')
    const input = { url, method, user, entraGroups: ids, address }
    return resultOf(await accessTest.test(input), input)
  } catch (error) {
    if (!(error instanceof GatehouseError) || !INPUT_ERRORS.has(error.code)) throw error
    return finding(
      error.code,
      `${error.sentence} ${error.message === error.sentence ? '' : error.message}`,
      error.remedy,
    )
  }
}

function finding(code: ErrorCode, sentence: string, remedy: string | undefined): Html {
  return note(html`<span data-finding="${code}">${sentence}</span> ${remedy}`, 'bad')
}

const NOTES: Readonly<Record<TestNote, string>> = {
  address_needed: 'Some rules depend on the client address: write one to know whether they match.',
  address_unreadable: 'This is no IP address: rules with networks count as if they might match.',
  method_unknown: 'This method is not registered for HTTP: where rules of the host name methods, it is denied.',
}

function resultOf(result: AccessTestResult, input: AccessTestInput): Html {
  const { rules, interpretations, notes } = result
  return html`${notes.map((each) => note(NOTES[each], 'warn'))}
${section({ id: 'decision', title: 'Decision', content: decisionOf(result) })}
${
    section({
      id: 'rules',
      title: 'Rules that decide',
      lead: rules.length > 1
        ? 'The request can be interpreted in several ways: each of these must let it in.'
        : undefined,
      content: ruleTable(rules),
    })
  }
${
    section({
      id: 'interpretations',
      title: 'Interpretations of the path',
      lead: 'Applications differ in how they decode a path. Every interpretation is judged.',
      content: interpretationTable(interpretations),
    })
  }
${section({ id: 'headers', title: 'Headers for the application', content: headersOf(result) })}
${
    section({
      id: 'expectation',
      title: 'As a line of an expectations file',
      lead: html`Copy it into the file of <code>gatehouse access check</code>, which fails when the decision changes.`,
      content: html`<div class="scroll" role="group" tabindex="0" aria-label="Line of an expectations file"><pre><code
 data-field="expectation">${expectationLine(input, result)}</code></pre></div>`,
    })
  }`
}

function decisionOf(result: AccessTestResult): Html {
  const { target, decision, withoutPort } = result
  const port = withoutPort.allow === decision.allow
    ? undefined
    : html`${verdict(withoutPort)} by ${
      ruleLink(withoutPort.grounds)
    }: the proxy must send <code>X-Forwarded-Port: ${target.port}</code>.`
  return facts([
    ['Decision', verdict(decision)],
    ['Rule', ruleLink(decision.grounds)],
    ...result.shadowRules.map((shadow) => ['Shadow rule', shadowOf(shadow)] as const),
    ['Request', html`<code>${target.method} ${targetUrl(target)}</code>`],
    ['User', whoOf(result)],
    ['Without the port', port],
  ])
}

function shadowOf(shadow: TestedShadowRule): Html {
  return html`${ruleLink(shadow)} ${SHADOW_WORDS[shadow.would]}${
    shadow.differs ? '' : ' too'
  }: it is open to ${shadow.allows}`
}

const SHADOW_WORDS: Readonly<Record<TestedShadowRule['would'], string>> = {
  allowed: 'would have let it in',
  not_signed_in: 'would have asked for a sign-in',
  not_allowed: 'would have refused it',
}

function verdict(decision: AccessTestResult['decision']): Html {
  if (decision.allow) return tag('allowed', 'good')
  return decision.reason === 'not_signed_in' ? tag('must sign in', 'warn') : tag('refused', 'bad')
}

function whoOf({ user, inactive }: AccessTestResult): Html {
  if (user === undefined) {
    return html`${inactive ? 'a deactivated user, so the request is anonymous' : 'no user: the request is anonymous'}`
  }
  if (user.userId === '') return html`${user.username}: ${groupsOf(user.groups)}`
  const read = user.snapshot === undefined
    ? ''
    : html`, whose Entra groups were read at ${timeText(user.snapshot.readAt)}`
  return html`<a href="${linkTo('people', user.userId)}">${nameText(user.username)}</a>${read}`
}

function groupsOf(groups: readonly string[]): Html {
  return groups.length === 0 ? html`no local group` : shortList(groups, nameText)
}

function ruleTable(rules: readonly JudgedRule[]): Html {
  return dataTable({
    caption: 'Rules that decide',
    columns: [
      { heading: 'Rule', cell: ruleLink },
      { heading: 'Open to', cell: ({ allows }) => allows },
      { heading: 'Lets in', cell: ({ lets }) => lets ? tag('yes', 'good') : tag('no', 'bad') },
      { heading: 'Because', cell: ({ because }) => nameText(because) },
    ],
    rows: rules,
    empty: html``,
  })
}

function interpretationTable(interpretations: readonly TestedInterpretation[]): Html {
  return dataTable({
    caption: 'Interpretations of the path',
    columns: [
      { heading: 'Path', cell: ({ path }) => path === undefined ? 'any path' : html`<code>${path}</code>` },
      { heading: 'Port', cell: ({ port }) => portName(port) },
      { heading: 'Rules', cell: ({ rules }) => shortList(rules, ruleLink) },
    ],
    rows: interpretations,
    empty: html``,
  })
}

function headersOf({ headers }: AccessTestResult): Html {
  if (headers === undefined) return emptyState({ title: 'None.', next: 'The application does not get the request.' })
  if ('tooLarge' in headers) {
    const { sentence, message, remedy } = headers.tooLarge
    return note(html`${sentence} ${message}. ${remedy}`, 'bad')
  }
  const rows: readonly HeaderPair[] = headers.assertion
    ? [...headers.pairs, [ASSERTION_HEADER, '(signed for each request)']]
    : headers.pairs
  return dataTable({
    caption: 'Headers for the application',
    columns: [
      { heading: 'Header', cell: ([name]) => html`<code>${name}</code>` },
      { heading: 'Value', cell: ([, value]) => html`<code>${value}</code>` },
    ],
    rows,
    empty: emptyState({ title: 'None.', next: html`<code>headers.families</code> is empty.` }),
  })
}

function portName(port: string | undefined): string {
  if (port === undefined) return 'any'
  return port === '' ? 'any other' : port
}
