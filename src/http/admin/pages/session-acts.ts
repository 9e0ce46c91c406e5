// Forms that end sessions.
import Type from 'typebox'
import { html, type Html } from '../../pages/html.js'
import { endSession } from '../api/sessions.js'
import { defineActPage } from './act-page.js'
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

/** Leads to the form. */
export function endSessionLink({ id, username }: { readonly id: string, readonly username: string }): Html {
  return html`<a class="button small" href="${linkTo('sessions', id)}/end">End<span class="unseen"> this session of ${
    nameText(username)
  }</span></a>`
}
