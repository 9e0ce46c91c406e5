// Forms that give a user a local group by hand and take it away.
import Type from 'typebox'
import { GatehouseError } from '../../../core/errors.js'
import type { PersonDetails, Right } from '../../../admin/person.js'
import { html, type Html } from '../../pages/html.js'
import { MOST_REASON, Reason } from '../api/act.js'
import { giveGroup, takeGroup } from '../api/membership-acts.js'
import { defineActPage } from './act-page.js'
import { formField, textField } from './form-fields.js'
import { nameText, note, timeText } from './components.js'
import { linkTo } from './links.js'
import { formOf } from './person-acts.js'
import { rightLine } from './right-line.js'

const Id = Type.String({ format: 'uuid' })
const Name = Type.String({ minLength: 1, maxLength: 300 })
/** Names that the form suggests: every other one can be typed. */
const SUGGESTED = 200

export const giveGroupPage = defineActPage({
  act: giveGroup,
  path: '/admin/people/:id/groups/give',
  title: 'Give a user a group',
  params: Type.Object({ id: Id }),
  fields: { name: Name, until: Type.Optional(Type.String({ maxLength: 40 })), reason: Type.Optional(Reason) },
  asks: ['name'],
  bodyOf: ({ until, reason }) => ({
    ...until === undefined ? {} : { until: inUtc(until) },
    ...reason === undefined ? {} : { reason },
  }),
  done: 'The user has the group.',
  async describe(asked) {
    const { useCases: { groups }, values, now } = asked
    const { rows } = await groups.list({ limit: SUGGESTED })
    return await formOf(asked, (person) => {
      const mapped = new Set(person.rights.filter(({ byHand }) => !byHand).map(({ name }) => name))
      const names = rows.map(({ name }) => name).filter((name) => !mapped.has(name))
      return {
        title: `Give a group to ${person.username}`,
        content: html`<p>${nameText(person.username)} gets a local group by hand, with its permissions, within a second.
You can give permissions of the console only if you have them.</p>
${endNote(person)}`,
        fields: html`${groupField(values.name, names)}${untilField(values.until, now)}${
          textField({
            name: 'reason',
            label: 'Reason (optional)',
            value: values.reason,
            maxLength: MOST_REASON,
            hint: 'The audit record keeps it.',
            optional: true,
          })
        }`,
        button: `Give this group to ${person.username}`,
      }
    })
  },
})

export const takeGroupPage = defineActPage({
  act: takeGroup,
  path: '/admin/people/:id/groups/:name/take',
  title: 'Take a group from a user',
  params: Type.Object({ id: Id, name: Name }),
  done: 'The user does not have the group any more.',
  async describe(asked) {
    const { name } = asked.params
    return await formOf(asked, ({ username, rights }) => {
      const held = rights.find((right) => right.kind === 'group' && right.name === name)
      const until = held?.until ?? null
      return {
        title: `Take ${name} from ${username}`,
        content: html`<p>${nameText(username)} loses the group ${
          nameText(name)
        } with its permissions within a second, in
all sessions${until === null ? '' : html`, and not at ${timeText(until)}`}.</p>
${notByHand(held)}`,
        button: `Take ${name} from ${username}`,
      }
    })
  },
})

/** Of a right that was assigned by hand. */
export function takeGroupLink({ id, username }: Pick<PersonDetails, 'id' | 'username'>, { name }: Right): Html {
  return html` <a class="button small" href="${linkTo('people', id)}/groups/${
    encodeURIComponent(name)
  }/take">Take<span class="unseen"> ${nameText(name)} from ${nameText(username)}</span></a>`
}

/** Then the act is refused. */
function notByHand(held: Right | undefined): Html {
  if (held === undefined) return note('This user is not in the group, or not any more.', 'warn')
  if (held.byHand) return html``
  return note(
    html`The mapping gives this group, ${rightLine(held)}. It cannot be taken away here: change the mapping, or the
membership in the Entra group.`,
    'warn',
  )
}

function endNote({ identities }: PersonDetails): Html {
  if (identities.length === 0) return html``
  return note('This user has an Entra account: the group is gone at the next sign-in or re-evaluation, at the latest.')
}

function groupField(value: string | undefined, names: readonly string[]): Html {
  return formField({
    name: 'name',
    label: 'Group',
    hint: 'Name of a local group, exactly as it is.',
    control: (attributes) =>
      html`<input${attributes} type="text" list="act-names" value="${value}" maxlength="300" required autocomplete="off"
 spellcheck="false"><datalist id="act-names">${
        names.map((name) => html`<option value="${name}"></option>`)
      }</datalist>`,
  })
}

/** A browser's own field for it shows no time zone, so the label does. */
function untilField(value: string | undefined, now: number): Html {
  return formField({
    name: 'until',
    label: 'End, in UTC (optional)',
    hint: html`Time zone: UTC, where it is ${timeText(now)} now. At this instant the group is gone. Empty: it has no end
of its own.`,
    control: (attributes) => html`<input${attributes} type="datetime-local" value="${value}">`,
  })
}

/**
 * @param text as the field has it: `2026-11-28T18:00`, without a time zone
 * @throws GatehouseError `request_malformed`
 */
function inUtc(text: string): string {
  const [, day, time] = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)$/.exec(text) ?? []
  const instant = `${day}T${time?.length === 5 ? `${time}:00` : time}Z`
  const at = new Date(instant)
  // a day that the month does not have becomes one of the next
  if (day !== undefined && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(day)) return instant
  throw new GatehouseError('request_malformed', { sentence: 'The end must be like 2026-11-28T18:00, in UTC.' })
}
