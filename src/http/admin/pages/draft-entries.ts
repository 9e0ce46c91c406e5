// Rows and rules of a draft, one by one: the list, and the forms that add, change and remove one. draft-rows.ts and
// draft-rules.ts say what is particular to each. What is saved is the text of the draft, as its editor saves it.
import Type, { type TProperties } from 'typebox'
import { MOST_LINE } from '../../../admin/entry-fields.js'
import type { EntriesPage, EntryOfDraft, EntryView } from '../../../admin/policy-entries.js'
import { ENTRIES, entryPath } from '../../../admin/policy-entries.js'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import type { FormValues } from '../../../core/admin-forms.js'
import { isRecord } from '../../../core/is-record.js'
import { draftVersion, type DraftFinding, type PolicyDraft } from '../../../core/policy-draft.js'
import type { EntryEdit, EntryList, EntryMap, EntryValue, WrittenEntry } from '../../../core/policy-entries.js'
import { versionTag } from '../../../core/version-tag.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { changeDraft } from '../api/policy-drafts.js'
import { DraftId } from '../api/policy-schemas.js'
import { defineActPage, type ActForm, type ActPage } from './act-page.js'
import { emptyState, note, section, tag } from './components.js'
import {
  linesOfEntry,
  MOST_LINES,
  opened,
  openEntry,
  SEEN,
  seenField,
  trailOf,
  type Opened,
} from './draft-entry-place.js'
import { findingText } from './draft-findings.js'
import { DRAFTS } from './draft-link.js'
import { draftName } from './drafts-page.js'
import { CHOSEN, formField, linesOf, textArea } from './form-fields.js'
import { link, linkTo } from './links.js'
import { defineAdminPage, type AdminPage } from './page.js'
import { positionFilters, positionQuery, positionResults } from './position-list.js'
import { shortened } from './shortened.js'
import { dataTable, type Column } from './table.js'

/** Of a form: a character may take twelve bytes. */
const MOST_BYTES = 1_000_000
const SHOWN_FINDINGS = 2
/** Of a list: the form of the entry has the whole of it. */
const LONGEST_FINDING = 200
const QUERY = positionQuery(['findings'])
export const PARAMS = Type.Object({ id: DraftId, position: Type.Integer({ minimum: 1, maximum: 100_000 }) })

/** Fields of an entry. */
export const LINE = Type.Optional(Type.String({ maxLength: MOST_LINE }))
export const LINES = Type.Optional(Type.String({ maxLength: 2 * MOST_LINES })) // a line end is two characters
export const FLAG = Type.Optional(Type.Literal(CHOSEN))

/** What is wrong with a field, by its name. */
export type FieldProblems = (field: string) => Html | undefined

export interface EntryKind<Fields> {
  readonly list: EntryList
  /** In addresses. */
  readonly section: 'rows' | 'rules'
  readonly one: 'row' | 'rule'
  readonly title: string
  readonly lead: Html | string
  /** What the search looks at. */
  readonly search: string
  readonly columns: (page: { readonly at: string, readonly count: number }) => readonly Column<EntryView>[]
  /** Of the form. */
  readonly fields: TProperties
  readonly none: Fields
  /** Undefined: the form has no fields for it. */
  readonly fieldsOf: (value: EntryValue) => Fields | undefined
  readonly valueOf: (fields: Fields, before?: EntryMap) => EntryMap
  readonly entered: (values: FormValues) => Fields
  readonly controls: (fields: Fields, problems: FieldProblems) => Html
  /** What the loader cannot see, because it is not written: with the path of a field. */
  readonly amiss?: (fields: Fields) => readonly DraftFinding[]
  /** The position of a new one is a field. */
  readonly isOrdered: boolean
}

export interface EntryPages {
  readonly list: AdminPage
  readonly add: ActPage
  readonly change: ActPage
  readonly remove: ActPage
}

export function entryPages<Fields>(kind: EntryKind<Fields>): EntryPages {
  return { list: listPage(kind), add: addPage(kind), change: changePage(kind), remove: removePage(kind) }
}

/** Address of the list, at this entry. @param at address of the draft */
export function entryAt(at: string, { section, one }: { section: string, one: string }, position: number): string {
  const after = position > ENTRIES ? position - 1 : undefined
  return `${link(`${at}/${section}`, { after })}#${one}-${position}`
}

function listPage<Fields>(kind: EntryKind<Fields>): AdminPage {
  return defineAdminPage({
    path: `${DRAFTS}/:id/${kind.section}`,
    permission: 'gatehouse.policy',
    title: kind.title,
    params: Type.Object({ id: DraftId }),
    query: QUERY,
    async render({ params: { id }, query, actor, useCases: { policyEntries } }) {
      const page = await policyEntries.list(id, kind.list, query)
      const at = linkTo('drafts', id)
      const path = `${at}/${kind.section}`
      const shown = { title: `${kind.title} of ${shortened(draftName(page.draft))}`, trail: trailOf(page.draft) }
      if (page.problems.length > 0) return { ...shown, content: unreadable(page.problems, at) }
      const table = entryTable(kind, page, at)
      return {
        ...shown,
        lead: kind.lead,
        content: html`${listActs(kind, page, at)}${
          positionFilters({
            path,
            label: `Filter the ${kind.section}`,
            query,
            search: kind.search,
            options: [{ value: '', label: `All ${kind.section}` }, {
              value: 'findings',
              label: `${kind.section === 'rows' ? 'Rows' : 'Rules'} with findings`,
            }],
          })
        }
${
          positionResults(kind.isOrdered ? movesForm(table, path, page.draft, actor) : table, {
            path,
            query,
            next: page.next,
          })
        }`,
      }
    },
  })
}

/** Each button says which rule it moves. */
function movesForm(table: Html, path: string, draft: PolicyDraft, { csrfToken }: AdminActor): Html {
  const version = versionTag(draftVersion(draft))
  return html`<form method="post" action="${path}"><input type="hidden" name="_csrf" value="${csrfToken}">
<input type="hidden" name="_version" value="${version}">${table}</form>`
}

function listActs<Fields>({ section, one, list }: EntryKind<Fields>, page: EntriesPage, at: string): Html {
  const fixed = page.reason === undefined
    ? ''
    : note(html`<code>${list}</code> ${page.reason}: no form can change it. <a href="${at}">Edit the YAML</a>.`, 'warn')
  const add = page.reason === undefined
    ? html`<li><a class="button" href="${at}/${section}/add">Add a ${one}</a></li>
`
    : ''
  const others = page.others === 0
    ? ''
    : html`<p class="soft"><a href="${at}#findings">${page.others} other ${
      page.others === 1 ? 'finding' : 'findings'
    }</a> of the draft.</p>`
  return html`${fixed}<ul class="acts">${add}<li><a class="button" href="${at}">Edit the YAML</a></li>
<li><a class="button" href="${at}/changes">What it changes</a></li>
<li><a class="button" href="${at}/preview">Preview gains and losses</a></li></ul>${others}`
}

function entryTable<Fields>(kind: EntryKind<Fields>, { rows, count }: EntriesPage, at: string): Html {
  const { one, section, title } = kind
  const path = `${at}/${section}`
  return dataTable<EntryView>({
    caption: title,
    columns: [
      {
        heading: one === 'row' ? 'Row' : 'Rule',
        kind: 'code',
        cell: ({ position, line }) =>
          html`<a id="${one}-${position}" href="${path}/${position}">${one} ${position}</a> <span
class="soft">line ${line}</span>`,
      },
      ...kind.columns({ at, count }),
      { heading: 'Findings', cell: findingsCell, kind: 'text' },
    ],
    rows,
    empty: count === 0
      ? emptyState({ title: `The draft has no ${section}.`, next: html`<a href="${path}/add">Add the first one</a>.` })
      : emptyState({ title: `No ${one} matches.`, next: html`<a href="${path}">Show the first ${section}</a>` }),
  })
}

function findingsCell({ findings, reason }: EntryView): Html {
  const fixed = reason === undefined ? '' : html`${tag('YAML alone', 'info')} <span class="soft">it ${reason}</span> `
  const more = findings.length - SHOWN_FINDINGS
  return html`<div>${fixed}${
    findings.slice(0, SHOWN_FINDINGS).map((finding, index) =>
      html`${index > 0 ? html`<br>` : ''}${findingText(finding, LONGEST_FINDING)}`
    )
  }${more > 0 ? html` <span class="soft">and ${more} more</span>` : ''}</div>`
}

/** What a cell shows of an entry that the form has no fields for. */
export function sourceCell({ source }: EntryView): Html {
  return html`<code>${shortened(source.replace(/\s+/g, ' '), 120)}</code>`
}

function unreadable(problems: readonly DraftFinding[], at: string): Html {
  const lines = problems.slice(0, 20).map((problem) =>
    html`<li>Line ${problem.line}: ${findingText(problem)}</li>
`
  )
  return html`${note('The text cannot be read, so there are no forms for its rows and rules.', 'bad')}<ul>${lines}</ul>
<p><a class="button" href="${at}">Edit the YAML</a></p>`
}

export interface Outcome {
  readonly body?: Readonly<Record<string, unknown>>
  readonly problems: readonly DraftFinding[]
}

/** Nothing is saved here: the act compares the version once more. */
export async function outcomeOf(
  { draft, isSent, isStale }: Opened,
  edit: EntryEdit | undefined,
  { policyEntries }: AdminUseCases,
): Promise<Outcome> {
  const unchanged = { body: { text: draft.text }, problems: [] }
  if (!isSent || isStale || edit === undefined) return unchanged // the act refuses a form without its version
  const result = await policyEntries.edited(draft.text, edit)
  return 'problems' in result ? result : { body: { text: result.text }, problems: [] }
}

export function pendingOf({ isSent }: Opened, problems: readonly DraftFinding[], prefix: string): Partial<ActForm> {
  if (!isSent || problems.length === 0) return {}
  const elsewhere = problems.filter(({ path }) => fieldOf(path, prefix) === undefined)
  const list = elsewhere.map((problem) => html` ${findingText(problem)}`)
  return { pending: { status: 400, note: note(html`Nothing was saved.${list}`, 'bad'), asksReason: false } }
}

/** The field of the form that a key of the entry has; `allow.groups` is the field `groups`. */
function fieldOf(path: string, prefix: string): string | undefined {
  if (!path.startsWith(`${prefix}.`)) return undefined
  const [key = '', inner] = path.slice(prefix.length + 1).split(/[.[]/)
  return key === 'allow' && inner !== undefined && !/^\d/.test(inner) ? inner : key
}

function problemsBy(problems: readonly DraftFinding[], prefix: string): FieldProblems {
  return (field) => {
    const own = problems.filter(({ path }) => fieldOf(path, prefix) === field)
    if (own.length === 0) return undefined
    return html`${own.slice(0, 5).map((each, index) => html`${index > 0 ? html`<br>` : ''}${findingText(each)}`)}`
  }
}

function addPage<Fields>(kind: EntryKind<Fields>): ActPage {
  const { list, section, one, isOrdered } = kind
  return defineActPage({
    act: changeDraft,
    path: `${DRAFTS}/:id/${section}/add`,
    title: `Add a ${one}`,
    params: Type.Object({ id: DraftId }),
    fields: { ...kind.fields, ...isOrdered ? { place: Type.Optional(Type.Integer({ minimum: 1 })) } : {} },
    mostBytes: MOST_BYTES,
    done: `The ${one} is added to the draft.`,
    async describe({ params: { id }, values, seen, useCases }) {
      const found = await useCases.policyEntries.get(id, list, 1)
      const open = opened(found.draft, seen)
      const { count } = found
      const wanted = Number(values['place'] ?? count + 1)
      const at = Number.isSafeInteger(wanted) ? Math.min(Math.max(wanted - 1, 0), count) : count
      const fields = open.isSent ? kind.entered(values) : kind.none
      const edit: EntryEdit = { kind: 'add', list, at, entry: { value: kind.valueOf(fields) } }
      const amiss = amissOf(kind, fields, at)
      const { body, problems } = open.isSent && amiss.length > 0
        ? { problems: amiss }
        : await outcomeOf(open, edit, useCases)
      const path = entryPath(list, at)
      return {
        title: `Add a ${one}`,
        trail: trailOf(found.draft, kind),
        ...closedBy(open, found, list),
        fields: html`${kind.controls(fields, problemsBy(problems, path))}${
          isOrdered ? placeField('place', values['place'] ?? String(count + 1), count + 1) : ''
        }`,
        button: `Add this ${one}`,
        back: `${open.at}/${section}`,
        next: entryAt(open.at, kind, at + 1),
        version: open.version,
        ...body === undefined ? {} : { body },
        ...pendingOf(open, problems, path),
      }
    },
  })
}

function amissOf<Fields>(
  { amiss, list, fieldsOf }: EntryKind<Fields>,
  fields: Fields,
  index: number,
  entry?: EntryView,
): readonly DraftFinding[] {
  const isWhole = entry?.value === undefined || fieldsOf(entry.value) !== undefined
  if (!isWhole) return [NO_FIELD] // guard: policy-entry-no-field
  return (amiss?.(fields) ?? []).map((each) => ({ ...each, path: `${entryPath(list, index)}.${each.path}` }))
}

/** The form was shown before the entry got a key that it would lose. */
const NO_FIELD: DraftFinding = {
  ...{ line: 1, column: 1, path: '', code: 'entry_no_field' },
  message: 'It says something that this form has no field for.',
  remedy: 'Open its form again: it shows the YAML.',
}

/** Where no form can change anything, the page says why; a form that was sent is shown all the same. */
export function closedBy(
  { at, isSent }: Opened,
  { problems, reason }: Pick<EntryOfDraft, 'problems' | 'reason'>,
  list: EntryList,
): Pick<ActForm, 'content' | 'isClosed'> {
  if (problems.length > 0) return { content: unreadable(problems, at), isClosed: !isSent }
  if (reason === undefined) return { content: html`` }
  return { content: fixedNote(html`<code>${list}</code> ${reason}`, at), isClosed: !isSent }
}

function fixedNote(what: Html, at: string): Html {
  return note(html`${what}: no form can change it. <a href="${at}">Edit the YAML</a>.`, 'warn')
}

/** Where in the list. @param most the last place */
export function placeField(name: string, value: string, most: number): Html {
  return formField({
    name,
    label: 'Place in the list',
    kind: 'number',
    hint: `1 to ${most}. The first rule that matches a request decides.`,
    control: (attributes) => html`<input${attributes} type="number" min="1" max="${most}" value="${value}" required>`,
  })
}

function changePage<Fields>(kind: EntryKind<Fields>): ActPage {
  const { list, section, one } = kind
  return defineActPage({
    act: changeDraft,
    path: `${DRAFTS}/:id/${section}/:position`,
    title: kind.title,
    params: PARAMS,
    within: ['position'],
    fields: { ...kind.fields, ...SEEN, yaml: Type.Optional(Type.String({ maxLength: 2 * MOST_LINES })) },
    mostBytes: MOST_BYTES,
    done: `The ${one} is changed in the draft.`,
    async describe(request) {
      const { params: { position }, values, useCases } = request
      const heading = `Change ${one} ${position}`
      const opening = { ...kind, heading, button: `Save this ${one}`, act: '' } as const
      const { found, open, shown, other } = await openEntry(opening, request)
      if (other !== undefined) return other
      const { entry } = found
      const form = formOf(kind, open, entry, values)
      const edit: EntryEdit = { kind: 'change', list, index: position - 1, entry: form.written }
      const amiss = form.fields === undefined ? [] : amissOf(kind, form.fields, position - 1, entry)
      const { body, problems } = open.isSent && !open.isStale && amiss.length > 0
        ? { problems: amiss }
        : await outcomeOf(open, edit, useCases)
      const path = entryPath(list, position - 1)
      return {
        ...shown,
        ...contentOf(kind, open, found),
        fields: html`${seenField(found, values)}${
          form.fields === undefined
            ? yamlField(form.yaml, problems)
            : kind.controls(form.fields, problemsBy(problems, path))
        }`,
        back: `${open.at}/${section}`,
        next: entryAt(open.at, kind, position),
        version: open.version,
        ...body === undefined ? {} : { body },
        ...pendingOf(open, form.fields === undefined ? [] : problems, path),
        ...form.fields === undefined && problems.length > 0 ? { pending: UNSAVED } : {},
      }
    },
  })
}

const UNSAVED = { status: 400, note: note('Nothing was saved.', 'bad'), asksReason: false } as const

interface FilledForm<Fields> {
  /** Undefined: the YAML of the entry is shown. */
  readonly fields: Fields | undefined
  readonly yaml: string
  readonly written: WrittenEntry
}

/** As it is saved, or as it was entered. */
function formOf<Fields>(
  kind: EntryKind<Fields>,
  { isSent }: Opened,
  entry: EntryView | undefined,
  values: FormValues,
): FilledForm<Fields> {
  const value = entry?.value
  const saved = value === undefined ? undefined : kind.fieldsOf(value)
  if (!isSent && saved === undefined || values['yaml'] !== undefined) {
    const yaml = linesOf(values['yaml'] ?? entry?.source ?? '')
    return { fields: undefined, yaml, written: { yaml } }
  }
  const fields = isSent ? kind.entered(values) : saved ?? kind.none
  const before = saved === undefined || !isRecord(value) ? undefined : value
  return { fields, yaml: '', written: { value: kind.valueOf(fields, before) } }
}

function contentOf<Fields>(
  kind: EntryKind<Fields>,
  open: Opened,
  found: EntryOfDraft,
): Pick<ActForm, 'content' | 'isClosed'> {
  const { entry, problems, reason } = found
  const { one, section: path, list } = kind
  if (problems.length > 0 || (reason !== undefined && entry === undefined)) return closedBy(open, found, list)
  const now = !open.isStale ? '' : section({
    id: 'now',
    title: `The ${one} as it is saved now`,
    lead: 'Another administrator has saved the draft. What you have entered is in the form below.',
    content: entry === undefined
      ? html`<p>It is not there any more.</p>`
      : linesOfEntry(entry),
  })
  if (entry === undefined) return { content: html`${now}` }
  if (entry.reason !== undefined) {
    const source = linesOfEntry(entry)
    return { content: html`${fixedNote(html`It ${entry.reason}`, open.at)}${source}`, isClosed: !open.isSent }
  }
  const acts = html`<ul class="acts">${
    kind.isOrdered ? html`<li><a class="button" href="${open.at}/${path}/${entry.position}/move">Move it</a></li>` : ''
  }<li><a class="button" href="${open.at}/${path}/${entry.position}/remove">Remove it</a></li></ul>`
  return { content: html`${acts}${now}${open.isSent ? '' : findingsOf(entry)}` }
}

function findingsOf({ findings, line }: EntryView): Html | string {
  if (findings.length === 0) return ''
  const list = findings.slice(0, 20).map((finding) => html`<li>${findingText(finding)}</li>`)
  return note(html`Line ${line} of the draft as it is saved:<ul>${list}</ul>`, 'warn')
}

function yamlField(yaml: string, problems: readonly DraftFinding[]): Html {
  const lines = problems.map((problem, index) =>
    html`${index > 0 ? html`<br>` : ''}Line ${problem.line}: ${findingText(problem)}`
  )
  return textArea({
    name: 'yaml',
    label: 'YAML',
    value: yaml,
    maxLength: MOST_LINES,
    rows: Math.min(Math.max(yaml.split('\n').length + 2, 6), 24),
    isCode: true,
    hint: 'It says something that this form has no field for, so it is shown as it is written.',
    ...lines.length === 0 ? {} : { problem: html`${lines}` },
  })
}

function removePage<Fields>(kind: EntryKind<Fields>): ActPage {
  const { list, section, one } = kind
  return defineActPage({
    act: changeDraft,
    path: `${DRAFTS}/:id/${section}/:position/remove`,
    title: `Remove a ${one}`,
    params: PARAMS,
    within: ['position'],
    fields: SEEN,
    done: `The ${one} is removed from the draft.`,
    async describe(request) {
      const { params: { position }, values, useCases } = request
      const heading = `Remove ${one} ${position}`
      const { found, open, shown, other } = await openEntry(
        { ...kind, heading, button: heading, act: '/remove' },
        request,
      )
      if (other !== undefined) return other
      const { entry } = found
      const { body, problems } = await outcomeOf(open, { kind: 'remove', list, index: position - 1 }, useCases)
      const path = entryPath(list, position - 1)
      const fixed = contentOf(kind, open, found)
      return {
        ...shown,
        fields: seenField(found, values),
        ...fixed.isClosed === true ? fixed : {
          content: html`<p>These lines go, with the comments directly above. All others stay as they are.</p>
${linesOfEntry(entry)}`,
        },
        back: `${open.at}/${section}`,
        version: open.version,
        ...body === undefined ? {} : { body },
        ...pendingOf(open, problems, path),
      }
    },
  })
}
