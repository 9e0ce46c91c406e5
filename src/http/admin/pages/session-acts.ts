// Forms that end sessions.
import Type from 'typebox'
import { html, type Html } from '../../pages/html.js'
import { endSession, endSessions } from '../api/sessions.js'
import { defineActPage } from './act-page.js'
import { textField } from './form-fields.js'
import { facts, idText, nameText, timeText } from './components.js'
import { linkTo } from './links.js'
import { clientText } from './person-events.js'

export const endSessionPage = defineActPage({
  act: endSession,
  path: '/admin/sessions/:publicId/end',
  title: 'End a session',
  params: Type.Object({ publicId: Type.String({ minLength: 1, maxLength: 100 }) }),
  done: 'The session has ended.',
  async describe({ params, useCases }) {
    const session = await useCases.sessions.get(params.publicId)
    const { username, userId } = session
    const person = linkTo('people', userId)
    return {
      title: `End a session of ${username}`,
      trail: [{ label: 'Sessions', href: '/admin/sessions' }, { label: username, href: person }],
      content: html`<p>${nameText(username)} has to sign in again with this browser.</p>
${
        facts([
          ['Session', idText(session.id)],
          ['Signed in', timeText(session.createdAt)],
          ['Last seen', timeText(session.lastSeenAt)],
          ['Used from', session.browser ?? session.address ?? session.host ? clientText(session) : null],
        ])
      }`,
      button: `End this session of ${username}`,
      back: person,
    }
  },
})

export const endAllSessionsPage = defineActPage({
  act: endSessions,
  path: '/admin/sessions/end-all',
  title: 'End all sessions',
  params: Type.Object({}),
  bodyOf: () => ({ all: true }),
  done: 'All sessions have ended.',
  describe: async () => ({
    title: 'End all sessions',
    trail: [{ label: 'Sessions', href: '/admin/sessions' }],
    content: html`<p>Every user has to sign in again everywhere, you too.</p>`,
    button: 'End all sessions of all users',
    back: '/admin/sessions',
  }),
})

export const endHostSessionsPage = defineActPage({
  act: endSessions,
  path: '/admin/sessions/end-host',
  title: 'End the sessions of a host',
  params: Type.Object({}),
  fields: { host: Type.String({ minLength: 1, maxLength: 255 }) },
  bodyOf: ({ host }) => ({ host }),
  done: 'The sessions of this host have ended.',
  describe: async ({ values }) => ({
    title: 'End the sessions of a host',
    trail: [{ label: 'Sessions', href: '/admin/sessions' }],
    content: html`<p>Sessions that were last used at this host end. Their users have to sign in again everywhere.</p>`,
    fields: textField({ name: 'host', label: 'Host', value: values.host, maxLength: 255 }),
    button: 'End the sessions of this host',
    back: '/admin/sessions',
  }),
})

/** Leads to the form. */
export function endSessionLink({ id, username }: { readonly id: string, readonly username: string }): Html {
  return html`<a class="button small" href="${linkTo('sessions', id)}/end">End<span class="unseen"> this session of ${
    nameText(username)
  }</span></a>`
}

export function endManyLinks(): Html {
  return html`<ul class="acts"><li><a class="button" href="${endHostSessionsPage.page.path}">End the sessions of a
host</a></li><li><a class="button" href="${endAllSessionsPage.page.path}">End all sessions</a></li></ul>`
}
