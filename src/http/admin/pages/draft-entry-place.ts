// Which row or rule a form is about: a place in the list, and the hash of the entry that was there when the form was
// made. Another administrator may have added one above, or moved it.
import Type from 'typebox'
import type { EntryOfDraft, EntryView } from '../../../admin/policy-entries.js'
import { entryUnknown } from '../../../admin/policy-entries.js'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import type { FormValues } from '../../../core/admin-forms.js'
import { draftVersion, type PolicyDraft } from '../../../core/policy-draft.js'
import type { EntryList } from '../../../core/policy-entries.js'
import { versionTag } from '../../../core/version-tag.js'
import { html, type Html } from '../../pages/html.js'
import type { ActForm } from './act-page.js'
import { note, section } from './components.js'
import { draftName, DRAFTS_TRAIL } from './drafts-page.js'
import { hidden } from './form-fields.js'
import { linkTo } from './links.js'
import type { PageContent } from './page.js'
import { shortened } from './shortened.js'
import { listing } from './versions-page.js'

/** Characters of a field with several lines. */
export const MOST_LINES = 20_000

/** Field of each form of an entry. */
export const SEEN = { entry: Type.Optional(Type.String({ maxLength: 100 })) }

/** What a form of an entry knows of its draft. */
export interface Opened {
  readonly draft: PolicyDraft
  readonly at: string
  /** Of the draft as it is saved now. */
  readonly version: string
  /** The form was sent. */
  readonly isSent: boolean
  /** Another administrator has saved since the form was shown. */
  readonly isStale: boolean
}

export function opened(draft: PolicyDraft, seen: string | undefined): Opened {
  const version = versionTag(draftVersion(draft))
  const isSent = seen !== undefined
  return { draft, at: linkTo('drafts', draft.id), version, isSent, isStale: isSent && seen !== version }
}

/** @param kind its list is one of the pages above */
export function trailOf(
  draft: PolicyDraft,
  kind?: { readonly section: string, readonly title: string },
): NonNullable<PageContent['trail']> {
  const at = linkTo('drafts', draft.id)
  const own = kind === undefined ? [] : [{ label: kind.title, href: `${at}/${kind.section}` }]
  return [DRAFTS_TRAIL, { label: shortened(draftName(draft)), href: at }, ...own]
}

/** As they are written, with the comments directly above. */
export function linesOfEntry(entry: EntryView | undefined): Html {
  return entry === undefined ? html`` : listing('Its lines', html`${shortened(entry.lines, MOST_LINES)}`)
}

/** A form of one row or rule. */
export interface EntryForm {
  readonly list: EntryList
  readonly section: 'rows' | 'rules'
  readonly one: 'row' | 'rule'
  /** Of the list. */
  readonly title: string
  /** Of the form: what it does, and to which one. */
  readonly heading: string
  readonly button: string
  /** Of the address, behind the position. */
  readonly act: '' | '/move' | '/remove'
}

export interface EntryRequest {
  readonly params: { readonly id: string, readonly position: number }
  readonly values: FormValues
  readonly seen?: string | undefined
  readonly useCases: AdminUseCases
}

interface OpenedEntry {
  readonly found: EntryOfDraft
  readonly open: Opened
  readonly shown: Pick<ActForm, 'title' | 'trail' | 'button'>
  /** What is shown in place of the form, where it is about another entry. */
  readonly other: ActForm | undefined
}

/** @throws GatehouseError `policy_draft_unknown`, `policy_entry_unknown` */
export async function openEntry(
  form: EntryForm,
  { params: { id, position }, values, seen, useCases }: EntryRequest,
): Promise<OpenedEntry> {
  const { list, section, one, heading, button, act } = form
  const found = await useCases.policyEntries.get(id, list, position, values['entry'])
  const open = opened(found.draft, seen)
  if (found.entry === undefined && !open.isStale && found.problems.length === 0) throw entryUnknown(list, position - 1)
  const shown = { title: heading, trail: trailOf(found.draft, form), button }
  return { found, open, shown, other: otherEntry(open, found, { ...shown, section, one, act, values }) }
}

/** The hash of the entry that the form was made for, also where the form is shown again. */
export function seenField({ entry }: Pick<EntryOfDraft, 'entry'>, values: FormValues): Html {
  return html`${hidden('entry', values['entry'] ?? entry?.hash)}`
}

interface Place extends Pick<ActForm, 'title' | 'trail' | 'button'> {
  readonly section: string
  readonly one: string
  /** Of the address, behind the position. */
  readonly act: '' | '/move' | '/remove'
  readonly values: FormValues
}

/**
 * Closes the form where another entry is at its place now: sent again it would change the wrong one. The act refuses
 * it by its version, and this page where the version is that of now.
 * @returns undefined: it is the same entry
 */
function otherEntry(open: Opened, found: EntryOfDraft, place: Place): ActForm | undefined {
  const { entry, problems } = found
  const { section, values, title, trail, button } = place
  const seen = values['entry'] // absent in the buttons of a list, which are of one version
  const isOther = seen === undefined ? open.isStale : seen !== entry?.hash
  if (problems.length > 0 || !isOther) return undefined // guard: policy-entry-other
  return {
    ...{ title, trail, button, isClosed: true, version: open.version, back: `${open.at}/${section}` },
    body: { text: open.draft.text },
    content: otherContent(open, found, place),
    ...open.isStale || !open.isSent ? {} : { pending: { status: 400, note: html``, asksReason: false } },
  }
}

function otherContent({ at }: Opened, { entry, sought }: EntryOfDraft, place: Place): Html {
  const { one, section: path, act, values } = place
  const found = values['entry'] === undefined ? undefined : sought
  const where = found === undefined
    ? html``
    : html` The ${one} of this form is ${one} ${found} now: <a href="${at}/${path}/${found}${act}">go to it</a>.`
  const what = entry === undefined
    ? html`It is not there any more.`
    : html`Another ${one} is at this place now, or it was changed.`
  return html`${note(html`Nothing was saved. ${what}${where} <a href="${at}/${path}">Show the list</a>.`, 'warn')}${
    entry === undefined ? '' : section({
      id: 'now',
      title: `The ${one} at this place as it is saved now`,
      content: linesOfEntry(entry),
    })
  }${enteredOf(values)}`
}

/** To be copied from: it is not sent again. */
function enteredOf({ entry: _, ...values }: FormValues): Html {
  const lines = Object.entries(values).map(([name, value = '']) =>
    `${name}:${value.includes('\n') ? '\n' : ' '}${value.replaceAll('\r\n', '\n')}`
  )
  if (lines.length === 0) return html``
  const content = listing('What you have entered', html`${shortened(lines.join('\n'), MOST_LINES)}`)
  return section({ id: 'entered', title: 'What you have entered', content })
}
