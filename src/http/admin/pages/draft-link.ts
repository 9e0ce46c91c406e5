// The links "Edit as a draft" and "Roll back to this version" on pages of the policy.
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { link, linkTo } from './links.js'

export const DRAFTS = '/admin/drafts'
export const ADD_DRAFT = `${DRAFTS}/add`

/**
 * For those who may read drafts.
 * @param from number of a version; undefined: the one in force
 * @param more another act beside it
 */
export function draftLink({ permissions }: AdminActor, from?: number, more: Html | string = ''): Html | string {
  if (!permissions.has('gatehouse.policy')) return ''
  return html`<ul class="acts"><li><a class="button" href="${link(ADD_DRAFT, { from })}">Edit as a draft</a></li>${more}
</ul>
`
}

/** Of a version that is not in force. */
export function rollbackLinks(number: number): Html {
  const at = linkTo('versions', String(number))
  return html`<li><a class="button" href="${at}/rollback">Roll back to this version</a></li><li><a class="button"
href="${at}/approve">Approve a rollback to it</a></li>`
}
