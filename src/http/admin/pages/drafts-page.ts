// Drafts of the policy: the list, and what one of them changes. draft-acts.ts has the editor, draft-preview.ts the
// preview.
import Type from 'typebox'
import type { DraftDiff } from '../../../admin/policy-drafts.js'
import type { DraftSummary } from '../../../core/policy-draft.js'
import { html, type Html } from '../../pages/html.js'
import { DraftId } from '../api/policy-schemas.js'
import { DraftCursorSchema } from '../api/policy-drafts.js'
import { emptyState, nameText, note, section, tag, timeText } from './components.js'
import { ADD_DRAFT, DRAFTS } from './draft-link.js'
import { link, linkTo } from './links.js'
import { listCursor, PAGE_ROWS } from './list-cursor.js'
import { defineAdminPage } from './page.js'
import { shortened } from './shortened.js'
import { dataTable, pager, results } from './table.js'
import { changesTable, patchListing } from './versions-page.js'

export const DRAFTS_TRAIL = { label: 'Drafts', href: DRAFTS } as const
export const DRAFT_PARAMS = Type.Object({ id: DraftId })

type Listed = DraftSummary & { readonly isStale: boolean }

export const draftsPage = defineAdminPage({
  path: DRAFTS,
  permission: 'gatehouse.policy',
  title: 'Drafts',
  query: Type.Object({ after: Type.Optional(Type.String()) }),
  async render({ query, useCases, cursors }) {
    const cursor = listCursor(cursors, 'getPolicyDrafts', DraftCursorSchema, query.after)
    const page = await useCases.policyDrafts.list({ after: cursor.after, limit: PAGE_ROWS })
    return {
      title: 'Drafts',
      lead: 'Texts that are to become the policy. A draft changes nothing until it is the policy.',
      content: html`<ul class="acts"><li><a class="button" href="${ADD_DRAFT}">Begin a draft</a></li>${
        useCases.policyDrafts.source === 'database'
          ? html`<li><a class="button" href="/admin/images">Images</a></li>`
          : ''
      }</ul>
${results(html`${draftsTable(page.rows)}${pager({ path: DRAFTS, query, next: cursor.next(page) })}`)}`,
    }
  },
})

function draftsTable(rows: readonly Listed[]): Html {
  return dataTable<Listed>({
    caption: 'Drafts of the policy',
    rows,
    columns: [
      {
        heading: 'Draft',
        cell: (draft) => html`<a href="${linkTo('drafts', draft.id)}">${nameText(shortened(draftName(draft)))}</a>`,
        kind: 'text',
      },
      { heading: 'Changed', cell: ({ changedAt }) => timeText(changedAt), kind: 'time' },
      { heading: 'By', cell: ({ changedBy, changedByName }) => who(changedBy, changedByName), kind: 'name' },
      { heading: 'From', cell: baseOf },
    ],
    empty: emptyState({
      title: 'There are no drafts.',
      next: html`<a href="${ADD_DRAFT}">Begin one</a> with the policy in force, or with an earlier
<a href="/admin/versions">version</a>.`,
    }),
  })
}

/** @param name null: a command, or a user who was removed */
export function who(actor: string, name: string | null): Html {
  return nameText(shortened(name ?? actor))
}

function baseOf({ base, isStale }: Listed): Html {
  const version = html`<a href="${linkTo('versions', String(base))}">version ${base}</a>`
  return isStale ? html`${version} ${tag('not in force', 'warn')}` : version
}

export function draftName({ message, id }: Pick<DraftSummary, 'message' | 'id'>): string {
  return message.trim() === '' ? id : message
}

export const draftChangesPage = defineAdminPage({
  path: `${DRAFTS}/:id/changes`,
  permission: 'gatehouse.policy',
  title: 'What the draft changes',
  params: DRAFT_PARAMS,
  query: Type.Object({ against: Type.Optional(Type.Union([Type.Literal('base'), Type.Literal('inForce')])) }),
  async render({ params: { id }, query: { against = 'inForce' }, useCases: { policyDrafts: drafts } }) {
    const [draft, diff] = await Promise.all([drafts.get(id), drafts.diff(id, against)])
    const at = linkTo('drafts', id)
    const other = draft.isStale
      ? html`<p><a href="${link(`${at}/changes`, { against: against === 'base' ? 'inForce' : 'base' })}">${
        against === 'base' ? 'Compare with what runs' : `Compare with version ${draft.base}, from which it was begun`
      }</a></p>`
      : ''
    return {
      title: `What ${shortened(draftName(draft))} changes`,
      trail: [DRAFTS_TRAIL, { label: shortened(draftName(draft)), href: at }],
      lead: html`Compared with <a href="${linkTo('versions', String(diff.version))}">version ${diff.version}</a>, ${
        against === 'inForce' ? 'which is in force' : 'from which it was begun'
      }.`,
      content: html`${other}${section({ id: 'changes', title: 'Changes', content: changesOf(diff) })}
${section({ id: 'lines', title: 'Lines', content: patchListing(diff.patch) })}`,
    }
  },
})

function changesOf({ changes }: DraftDiff): Html {
  return changes === undefined
    ? note('The draft cannot be used as the policy yet, so only its lines are compared.', 'warn')
    : changesTable(changes)
}
