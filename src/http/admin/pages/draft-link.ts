// The links of acts on pages of the policy, and where its pages are.
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { link, linkTo } from './links.js'

export const VERSIONS_TRAIL = { label: 'Versions', href: '/admin/versions' } as const
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

/**
 * Beside a row or a rule of the policy in force, for those who may read drafts: its form in a draft.
 * @param position counted from 1
 */
export function editLink({ permissions }: AdminActor, one: 'row' | 'rule', position: number): Html | string {
  if (!permissions.has('gatehouse.policy')) return ''
  return html` <a href="${
    link(ADD_DRAFT, { [one]: position })
  }" aria-label="Edit ${one} ${position} as a draft">Edit</a>`
}

/** Where the policy is in the database. */
export function versionLinks(number: number, isInForce: boolean): Html {
  const at = linkTo('versions', String(number))
  if (isInForce) return html`<li><a class="button" href="${at}/apply">Apply it to everybody who is signed in</a></li>`
  return html`<li><a class="button" href="${at}/rollback">Roll back to this version</a></li><li><a class="button"
href="${at}/approve">Approve a rollback to it</a></li>`
}
