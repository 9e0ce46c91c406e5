// Marks of a reviewer: two buttons in each row of the report, and the form with a note.
import Type from 'typebox'
import type { ReviewedRight } from '../../../admin/reviews.js'
import { isAdminPermission } from '../../../core/admin-permissions.js'
import type { Review, Verdict } from '../../../core/reviews.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { MOST_REASON } from '../api/act.js'
import { markRight, Note, REVIEW_FILTERS } from '../api/reviews.js'
import { defineActPage } from './act-page.js'
import { badge, facts, nameText, note, tag, timeText } from './components.js'
import { hidden, textField } from './form-fields.js'
import { link, linkTo } from './links.js'
import { rightLine } from './right-line.js'
import { shortened } from './shortened.js'

export const REVIEWS = '/admin/reviews'
/** Permissions that are shown on the form. */
const MOST_OF_FORM = 100
const TRAIL = [{ label: 'Reviews', href: REVIEWS }] as const

const VERDICTS: Readonly<Record<Verdict, { readonly text: string, readonly tone: 'good' | 'warn' }>> = {
  confirmed: { text: 'Still right', tone: 'good' },
  doubted: { text: 'Not right any more', tone: 'warn' },
}

export const markRightPage = defineActPage({
  act: markRight,
  path: `${REVIEWS}/:personId/:right/mark`,
  title: 'Review a right',
  params: Type.Object({
    personId: Type.String({ format: 'uuid' }),
    right: Type.String({ minLength: 1, maxLength: 306 }),
  }),
  fields: {
    verdict: Type.Union([Type.Literal('confirmed'), Type.Literal('doubted')]),
    note: Type.Optional(Note),
    place: Type.Optional(Type.String({ maxLength: 2_000 })),
  },
  prefilled: ['place'],
  bodyOf: ({ verdict, note: text }) => ({ verdict, ...text === undefined ? {} : { note: text } }),
  done: 'The review is kept.',
  async describe({ params: { personId, right: text }, useCases, actor, values }) {
    const right = await useCases.reviews.get(personId, text)
    const { username, review } = right
    return {
      title: `Review a right of ${username}`,
      trail: TRAIL,
      content: html`${
        personId === actor.userId ? note('This is a right of your own: another administrator reviews it.', 'warn') : ''
      }
<p>A review changes no right. It is kept for 400 days, and falls when the right changes.</p>
${
        facts([
          ['User', html`<a href="${linkTo('people', personId)}">${nameText(username)}</a>`],
          ['Right', rightName(right)],
          ['Permits', right.kind === 'group' ? permitsText(right, MOST_OF_FORM) : null],
          ['Why', rightLine(right)],
          ['Review', review === null ? null : reviewText(review)],
        ])
      }`,
      fields: html`${verdictField(values.verdict)}${
        textField({
          name: 'note',
          label: 'Note (optional)',
          value: values.note,
          maxLength: MOST_REASON,
          hint: 'What the next reviewer should know.',
          optional: true,
        })
      }${hidden('place', values.place)}`,
      button: 'Keep this review',
      version: right.etag,
      back: listAt(values.place),
    }
  },
})

function verdictField(value: string | undefined): Html {
  return html`<fieldset><legend>Is it still right?</legend>
${
    Object.entries(VERDICTS).map(([verdict, { text }]) =>
      html`<label class="choice"><input type="radio" name="verdict" value="${verdict}" required${
        verdict === value ? html` checked` : ''
      }><span>${text}</span></label>
`
    )
  }</fieldset>`
}

/** The list as it was, at the row with this number. @param place of `placeOf`: other parameters are left out */
function listAt(place: string | undefined): string {
  if (place === undefined) return REVIEWS
  const given = new URLSearchParams(place)
  const names = [...Object.keys(REVIEW_FILTERS), 'after']
  const row = /^\d{1,3}$/.exec(given.get('row') ?? '')
  return `${link(REVIEWS, Object.fromEntries(names.map((name) => [name, given.get(name)])))}${
    row === null ? '' : `#row-${row[0]}`
  }`
}

export interface ListPlace {
  /** Parameters of the list. */
  readonly query: Readonly<Record<string, string | number | boolean | undefined>>
  /** Number of the row on its page. */
  readonly row: number
}

function placeOf({ query, row }: ListPlace): string {
  return link('', { ...query, row }).slice(1)
}

/** For those who may review it: two buttons, and the form with a note. */
export function markForm(right: ReviewedRight, { permissions, userId, csrfToken }: AdminActor, at: ListPlace): Html {
  if (!permissions.has('gatehouse.people')) return html``
  if (right.personId === userId) return html` <span class="soft">(your own: another administrator reviews it)</span>`
  const address = addressOf(right)
  const place = placeOf(at)
  const of = html`<span class="unseen">: ${nameText(shortened(right.group ?? right.kind))} of ${
    nameText(shortened(right.username))
  }</span>`
  const button = (verdict: Verdict): Html =>
    html`<button class="button small" id="${verdict}-${at.row}" name="verdict" value="${verdict}">${
      VERDICTS[verdict].text
    }${of}</button> `
  return html`<form class="mark" method="post" action="${address}" hx-swap="innerHTML show:none">${
    hidden('_csrf', csrfToken)
  }${hidden('_version', right.etag)}${hidden('place', place)}${button('confirmed')}${button('doubted')}<a href="${
    link(address, { place })
  }">With a note${of}</a></form>`
}

function addressOf({ personId, right }: Pick<ReviewedRight, 'personId' | 'right'>): string {
  return `${REVIEWS}/${personId}/${encodeURIComponent(right)}/mark`
}

export function rightName({ kind, group }: Pick<ReviewedRight, 'kind' | 'group'>): Html {
  if (kind !== 'group') return badge(kind)
  return html`<a href="${linkTo('groups', group ?? '')}">${nameText(shortened(group ?? ''))}</a>`
}

/** Permissions of the console first, so that none of them is among those that are left out. */
export function permitsText({ group, permissions }: Pick<ReviewedRight, 'group' | 'permissions'>, most: number): Html {
  if (permissions.length === 0) return html`<span class="soft">nothing</span>`
  const [console, others] = [permissions.filter(isAdminPermission), permissions.filter((p) => !isAdminPermission(p))]
  const shown = [...console, ...others].slice(0, Math.max(most, console.length))
  const left = permissions.length - shown.length
  const more = left === 0 ? '' : html` <a href="${linkTo('groups', group ?? '')}#permissions">and ${left} more</a>`
  return html`${shown.map((word) => html`<code>${shortened(word)}</code> `)}${more}`
}

/** "Still right, by rita, 2026-11-28 08:00 UTC: her note" */
export function reviewText(review: Review | null): Html {
  if (review === null) return html`<span class="soft">not reviewed yet</span>`
  const { verdict, reviewer, at, note: text } = review
  const { text: word, tone } = VERDICTS[verdict]
  return html`<span class="reason">${tag(word, tone)} by ${
    reviewer === null ? 'a removed user' : nameText(shortened(reviewer))
  }, ${timeText(at)}${text === null ? '' : html`: ${nameText(shortened(text, 200))}`}</span>`
}
