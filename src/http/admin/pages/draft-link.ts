// The link "Edit as a draft" on pages of the policy.
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { link } from './links.js'

export const DRAFTS = '/admin/drafts'
export const ADD_DRAFT = `${DRAFTS}/add`

/** For those who may read drafts. @param from number of a version; undefined: the one in force */
export function draftLink({ permissions }: AdminActor, from?: number): Html | string {
  if (!permissions.has('gatehouse.policy')) return ''
  return html`<ul class="acts"><li><a class="button" href="${link(ADD_DRAFT, { from })}">Edit as a draft</a></li></ul>
`
}
