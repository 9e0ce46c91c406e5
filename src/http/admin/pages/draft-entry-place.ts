// Which row or rule a form is about: a place in the list, and the hash of the entry that was there when the form was
// made. Another administrator may have added one above, or moved it.
import Type from 'typebox'
import type { EntryOfDraft } from '../../../admin/policy-entries.js'
import type { FormValues } from '../../../core/admin-forms.js'
import { draftVersion, type PolicyDraft } from '../../../core/policy-draft.js'
import { versionTag } from '../../../core/version-tag.js'
import { html, type Html } from '../../pages/html.js'
import type { ActForm } from './act-page.js'
import { note, section } from './components.js'
import { linkTo } from './links.js'
import { shortened } from './shortened.js'
import { listing } from './versions-page.js'

const LONGEST = 20_000

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

/** The hash of the entry that the form was made for, also where the form is shown again. */
export function seenField({ entry }: Pick<EntryOfDraft, 'entry'>, values: FormValues): Html {
  const hash = values['entry'] ?? entry?.hash
  return hash === undefined ? html`` : html`<input type="hidden" name="entry" value="${hash}">`
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
export function otherEntry(open: Opened, found: EntryOfDraft, place: Place): ActForm | undefined {
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
      content: listing('Its lines', html`${shortened(entry.lines, LONGEST)}`),
    })
  }${enteredOf(values)}`
}

/** To be copied from: it is not sent again. */
function enteredOf({ entry: _, ...values }: FormValues): Html {
  const lines = Object.entries(values).map(([name, value = '']) =>
    `${name}:${value.includes('\n') ? '\n' : ' '}${value.replaceAll('\r\n', '\n')}`
  )
  if (lines.length === 0) return html``
  const content = listing('What you have entered', html`${shortened(lines.join('\n'), LONGEST)}`)
  return section({ id: 'entered', title: 'What you have entered', content })
}
