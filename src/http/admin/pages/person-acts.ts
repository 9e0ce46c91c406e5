// Forms that change users, and the links to them on the page of a user.
import Type from 'typebox'
import { personVersion } from '../../../admin/acts/people.js'
import type { PersonDetails } from '../../../admin/person.js'
import { versionTag } from '../../../core/version-tag.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { addPerson, changePerson, removePerson } from '../api/people-acts.js'
import { endPersonSessions } from '../api/sessions.js'
import { viewerOf } from '../viewer.js'
import { defineActPage, type ActForm } from './act-page.js'
import { textField } from './form-fields.js'
import { nameText } from './components.js'
import { linkTo } from './links.js'
import type { PageRequest } from './page.js'

const params = Type.Object({ id: Type.String({ format: 'uuid' }) })
type OfPerson = PageRequest<unknown, { readonly id: string }>

export async function formOf(
  { params: { id }, useCases, actor, request }: OfPerson,
  made: (person: PersonDetails) => Pick<ActForm, 'title' | 'content' | 'button' | 'fields' | 'confirmation'>,
): Promise<ActForm> {
  const person = await useCases.people.get(id, viewerOf(actor, request))
  const back = linkTo('people', id)
  const trail = [{ label: 'People', href: '/admin/people' }, { label: person.username, href: back }]
  return { ...made(person), trail, back, version: versionTag(personVersion(person)) }
}

export const endPersonSessionsPage = defineActPage({
  act: endPersonSessions,
  path: '/admin/people/:id/end-sessions',
  title: 'End the sessions of a user',
  params,
  done: 'All sessions of this user have ended.',
  describe: async (asked) =>
    await formOf(asked, ({ username, liveSessions }) => ({
      title: `End all sessions of ${username}`,
      content: html`<p>${nameText(username)} has ${
        sessionsText(liveSessions)
      } and has to sign in again everywhere.</p>`,
      button: `End ${sessionsText(liveSessions)} of ${username}`,
    })),
})

export const deactivatePage = defineActPage({
  act: changePerson,
  path: '/admin/people/:id/deactivate',
  title: 'Deactivate a user',
  params,
  bodyOf: () => ({ isActive: false }),
  done: 'The user is inactive.',
  describe: async (asked) =>
    await formOf(asked, ({ username, liveSessions }) => ({
      title: `Deactivate ${username}`,
      content: html`<p>${nameText(username)} cannot sign in any more, and ${sessionsText(liveSessions)} will end.
Rights and groups stay as they are.</p>`,
      button: `Deactivate ${username}`,
    })),
})

export const activatePage = defineActPage({
  act: changePerson,
  path: '/admin/people/:id/activate',
  title: 'Activate a user',
  params,
  bodyOf: () => ({ isActive: true }),
  done: 'The user is active.',
  describe: async (asked) =>
    await formOf(asked, ({ username }) => ({
      title: `Activate ${username}`,
      content: html`<p>${nameText(username)} can sign in again, with the rights that the sign-in gives.</p>`,
      button: `Activate ${username}`,
    })),
})

export const renamePage = defineActPage({
  act: changePerson,
  path: '/admin/people/:id/rename',
  title: 'Rename a user',
  params,
  fields: { username: Type.String({ minLength: 1, maxLength: 150 }) },
  bodyOf: ({ username }) => ({ username }),
  done: 'The user has the new name.',
  describe: async (asked) =>
    await formOf(asked, ({ username }) => ({
      title: `Rename ${username}`,
      content: html`<p>To applications that identify users by name this will be another user. Others may have the old
name after 180 days. Superusers alone rename users.</p>`,
      fields: textField({ name: 'username', label: 'New username', value: asked.values.username, maxLength: 150 }),
      button: `Rename ${username}`,
    })),
})

export const removePage = defineActPage({
  act: removePerson,
  path: '/admin/people/:id/remove',
  title: 'Remove a user',
  params,
  fields: { confirm: Type.String({ maxLength: 200 }) },
  bodyOf: () => ({}),
  done: 'The user is removed.',
  async describe(asked) {
    const form = await formOf(asked, ({ username, liveSessions }) => ({
      title: `Remove ${username}`,
      content: html`<p>The profile and the rights of ${nameText(username)} are erased, ${
        sessionsText(liveSessions)
      } will end, and the name is taken out of the audit record. This cannot be undone. The username stays
reserved.</p>`,
      fields: textField({
        name: 'confirm',
        label: 'Username of the user who is removed',
        value: asked.values.confirm,
        maxLength: 200,
        hint: `Type ${username}`,
      }),
      confirmation: username,
      button: `Remove ${username}`,
    }))
    return { ...form, next: '/admin/people' }
  },
})

export const addPage = defineActPage({
  act: addPerson,
  path: '/admin/people/add',
  title: 'Add a user',
  params: Type.Object({}),
  fields: {
    username: Type.String({ minLength: 1, maxLength: 150 }),
    email: Type.Optional(Type.String({ maxLength: 254 })),
  },
  bodyOf: ({ username, email }) => ({ username, ...email === undefined ? {} : { email } }),
  done: 'The user is added.',
  describe: async ({ values }) => ({
    title: 'Add a user',
    trail: [{ label: 'People', href: '/admin/people' }],
    content: html`<p>A user without an Entra account: no sign-in changes this user. Users of Entra ID are added by their
first sign-in.</p>`,
    fields: html`${textField({ name: 'username', label: 'Username', value: values.username, maxLength: 150 })}
${textField({ name: 'email', label: 'E-mail (optional)', value: values.email, maxLength: 254, optional: true })}`,
    button: 'Add this user',
    back: '/admin/people',
  }),
})

/** What the administrator may do with this user. */
export function personActs(person: PersonDetails, { permissions }: AdminActor): Html {
  const { id, username, isActive, liveSessions } = person
  const to = (name: string, text: string): Html =>
    html`<li><a class="button" href="${linkTo('people', id)}/${name}">${text}</a></li>`
  return html`<ul class="acts">${
    permissions.has('gatehouse.sessions') && liveSessions > 0
      ? to('end-sessions', `End ${sessionsText(liveSessions)} of ${username}`)
      : ''
  }${permissions.has('gatehouse.sessions') && isActive ? to('deactivate', `Deactivate ${username}`) : ''}${
    permissions.has('gatehouse.people')
      ? html`${to('groups/give', `Give a group to ${username}`)}${
        isActive ? '' : to('activate', `Activate ${username}`)
      }${to('rename', `Rename ${username}`)}${to('remove', `Remove ${username}`)}`
      : ''
  }</ul>`
}

function sessionsText(count: number): string {
  return `${count} ${count === 1 ? 'session' : 'sessions'}`
}
