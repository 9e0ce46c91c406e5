// The access rules in a draft, as forms. Their order counts: they can be moved.
import Type from 'typebox'
import {
  ALLOWS,
  idleFields,
  MOST_LINE,
  ruleFields,
  ruleValue,
  type Allow,
  type RuleFields,
} from '../../../admin/entry-fields.js'
import type { EntryView } from '../../../admin/policy-entries.js'
import type { DraftFinding } from '../../../core/policy-draft.js'
import { html, type Html } from '../../pages/html.js'
import { changeDraft } from '../api/policy-drafts.js'
import { SHADOW } from './access-page.js'
import { defineActPage } from './act-page.js'
import { nameText, tag } from './components.js'
import {
  closedBy,
  entryAt,
  entryPages,
  FLAG,
  LINE,
  LINES,
  outcomeOf,
  PARAMS,
  pendingOf,
  placeField,
  sourceCell,
  type FieldProblems,
} from './draft-entries.js'
import { linesOfEntry, MOST_LINES, openEntry, SEEN, seenField } from './draft-entry-place.js'
import { DRAFTS } from './draft-link.js'
import { checkbox, CHOSEN, formField, lineList, textArea, textField } from './form-fields.js'
import { shortList } from './lists.js'
import { shortened } from './shortened.js'

const NONE: RuleFields = {
  ...{ name: '', hosts: [], paths: [], methods: [], networks: [], groups: [], permissions: [] },
  ...{ allow: 'some', staff: false, superuser: false, shadow: false },
}
/** Of the lists of a rule, in a list of rules. */
const SHOWN = 3
const LONGEST = 50
const RULES = { list: 'access.rules', section: 'rules', one: 'rule', title: 'Rules' } as const

const ALLOW_WORDS: Readonly<Record<Allow, string>> = {
  some: 'Users with any of the groups, permissions or flags below',
  authenticated: 'Every user who is signed in',
  anyone: 'Every request, also without a session',
  deny: 'No request',
}

export const rulePages = entryPages<RuleFields>({
  ...RULES,
  lead: html`The first rule that matches a request decides. <code>access.default</code>, which decides about all other
requests, is in the YAML.`,
  search: 'Name, host, path, method, group or permission',
  fields: {
    ...{ name: LINE, hosts: LINES, paths: LINES, methods: LINES, networks: LINES },
    allow: Type.Optional(Type.Union(ALLOWS.map((each) => Type.Literal(each)))),
    ...{ groups: LINES, permissions: LINES, staff: FLAG, superuser: FLAG, shadow: FLAG },
  },
  none: NONE,
  fieldsOf: ruleFields,
  valueOf: ruleValue,
  entered: ({ name = '', hosts, paths, methods, networks, allow, groups, permissions, staff, superuser, shadow }) => ({
    name,
    hosts: lineList(hosts),
    paths: lineList(paths),
    methods: lineList(methods),
    networks: lineList(networks),
    allow: ALLOWS.find((each) => each === allow) ?? 'deny',
    groups: lineList(groups),
    permissions: lineList(permissions),
    staff: staff === CHOSEN,
    superuser: superuser === CHOSEN,
    shadow: shadow === CHOSEN,
  }),
  isOrdered: true,
  amiss: (fields) => idleFields(fields) ? [IDLE] : [],
  controls,
  columns: ({ at, count }) => [
    { heading: 'Requests', cell: requestsCell },
    { heading: 'Lets in', cell: letsInCell },
    { heading: 'Move', cell: (entry) => moveCell(entry, at, count) },
  ],
})

/** It would not be written, and so be lost without a word. */
const IDLE: DraftFinding = {
  ...{ line: 1, column: 1, path: 'allow', code: 'fields_idle' },
  message: 'Groups, permissions and flags are given, which this choice does not look at.',
  remedy: `Choose "${ALLOW_WORDS.some}", or empty these fields.`,
}

type ListField = 'hosts' | 'paths' | 'methods' | 'networks' | 'groups' | 'permissions'

function controls(fields: RuleFields, problems: FieldProblems): Html {
  const area = (name: ListField, label: string, hint: string) =>
    textArea({
      name,
      label: `${label}, one a line`,
      value: fields[name].join('\n'),
      maxLength: MOST_LINES,
      rows: Math.min(Math.max(fields[name].length + 1, 2), 20),
      hint,
      problem: problems(name),
      optional: true,
    })
  return html`${
    textField({
      name: 'name',
      label: 'Name',
      value: fields.name,
      maxLength: MOST_LINE,
      hint: 'What people read in refusals, in the log and in the console, in place of access.rules[0].',
      problem: problems('name'),
      optional: true,
    })
  }${area('hosts', 'Hosts', 'app.example.com, or *.example.com for every host below it; either with a port.')}${
    area('paths', 'Paths', 'Empty: all. * stands for one segment, a last ** for any number of them.')
  }${area('methods', 'Methods', 'Empty: all. GET, HEAD, POST and so on.')}${
    area('networks', 'Networks', 'Empty: all. An address, 10.0.0.0/8, loopback, linklocal or uniquelocal.')
  }${allowField(fields, problems)}${area('groups', 'Local groups', 'Members of any of them.')}${
    area('permissions', 'Permissions', 'Holders of any of them: words joined by dots, like netbox.view.')
  }${flagFields(fields, problems)}`
}

function allowField({ allow }: RuleFields, problems: FieldProblems): Html {
  const options = ALLOWS.map((each) =>
    html`<option value="${each}"${each === allow ? html` selected` : ''}>${ALLOW_WORDS[each]}</option>`
  )
  return formField({
    name: 'allow',
    label: 'Whom it lets in',
    problem: problems('allow'),
    control: (attributes) => html`<select${attributes}>${options}</select>`,
  })
}

function flagFields({ staff, superuser, shadow }: RuleFields, problems: FieldProblems): Html {
  return html`${checkbox({ name: 'staff', label: 'Staff', isChosen: staff, problem: problems('staff') })}${
    checkbox({ name: 'superuser', label: 'Superusers', isChosen: superuser, problem: problems('superuser') })
  }${
    checkbox({
      name: 'shadow',
      label: 'Shadow rule: it decides nothing, and what it would have decided is counted',
      isChosen: shadow,
      problem: problems('enforce'),
    })
  }`
}

function fieldsOf({ value }: EntryView): RuleFields | undefined {
  return value === undefined ? undefined : ruleFields(value)
}

function requestsCell(entry: EntryView): Html {
  const fields = fieldsOf(entry)
  if (fields === undefined) return sourceCell(entry)
  const { name, hosts, paths, methods, networks, shadow } = fields
  const code = (text: string): Html => html`<code>${shortened(text, LONGEST)}</code>`
  return html`<div>${name === '' ? '' : html`${nameText(shortened(name))}: `}${
    methods.length === 0 ? '' : html`${shortList(methods, code, SHOWN)} of `
  }${shortList(hosts, code, SHOWN)}${paths.length === 0 ? '' : html`, ${shortList(paths, code, SHOWN)}`}${
    networks.length === 0 ? '' : html`, from ${shortList(networks, code, SHOWN)}`
  }${shadow ? html` ${SHADOW}` : ''}</div>`
}

function letsInCell(entry: EntryView): Html {
  const fields = fieldsOf(entry)
  if (fields === undefined) return html``
  const { allow, groups, permissions, staff, superuser } = fields
  if (allow !== 'some') return html`${allow}`
  const flags = html`${superuser ? html`${tag('superuser', 'strong')} ` : ''}${
    staff ? html`${tag('staff', 'info')} ` : ''
  }`
  const names = [
    ...groups.map((group) => nameText(shortened(group))),
    ...permissions.map((word) => html`<code>${shortened(word)}</code>`),
  ]
  return html`<div>${flags}${shortList(names, (each) => each, SHOWN)}</div>`
}

/** Buttons of the form that is around the table. */
function moveCell({ position, reason }: EntryView, at: string, count: number): Html {
  if (reason !== undefined) return html``
  const button = (to: number, arrow: string, word: string) =>
    to < 1 || to > count
      ? ''
      : html`<button class="button small" formaction="${at}/rules/${position}/move" name="to" value="${to}"
aria-label="Move rule ${position} ${word}">${arrow}</button> `
  return html`${button(position - 1, '↑', 'up')}${button(position + 1, '↓', 'down')}`
}

export const moveRulePage = defineActPage({
  act: changeDraft,
  path: `${DRAFTS}/:id/rules/:position/move`,
  title: 'Move a rule',
  params: PARAMS,
  within: ['position'],
  fields: { ...SEEN, to: Type.Integer({ minimum: 1, maximum: 100_000 }) },
  done: 'The rule is moved in the draft.',
  async describe(request) {
    const { params: { position }, values, useCases } = request
    const { list } = RULES
    const heading = `Move rule ${position}`
    const { found, open, shown, other } = await openEntry({ ...RULES, heading, button: heading, act: '/move' }, request)
    if (other !== undefined) return other
    const { entry, count } = found
    const to = Number(values['to'] ?? position)
    const isPlace = Number.isSafeInteger(to) && to >= 1 && to <= count
    const edit = isPlace ? { kind: 'move', list, index: position - 1, to: to - 1 } as const : undefined
    const { body, problems } = open.isSent && !open.isStale && !isPlace
      ? { problems: [{ ...NO_PLACE, remedy: `Choose 1 to ${count}.` }] }
      : await outcomeOf(open, edit, useCases)
    const closed = closedBy(open, { ...found, reason: entry?.reason ?? found.reason }, list)
    return {
      ...shown,
      ...closed,
      content: html`${closed.content}${linesOfEntry(entry)}`,
      fields: html`${seenField(found, values)}${placeField('to', values['to'] ?? String(position), count)}`,
      back: `${open.at}/rules`,
      next: entryAt(open.at, RULES, isPlace ? to : position),
      version: open.version,
      ...body === undefined ? {} : { body },
      ...pendingOf(open, problems, ''),
    }
  },
})

const NO_PLACE = {
  line: 1,
  column: 1,
  path: '',
  code: 'place_unknown',
  message: 'The list has no such place.',
} as const
