// What a page of the console says instead of its content: what happened, and where to go on.
import { ADMIN_PERMISSIONS } from '../../../core/admin-permissions.js'
import type { GatehouseError } from '../../../core/errors.js'
import { html, type Html } from '../../pages/html.js'
import { facts, idText } from './components.js'
import type { AdminPage, PageContent } from './page.js'

export interface FailedPage {
  readonly error: GatehouseError
  readonly page: AdminPage
  /** Correlation id of the request. */
  readonly reference: string
}

export function errorContent({ error, page, reference }: FailedPage): PageContent {
  const { code, status } = error
  const rows = [
    ['Code', html`<code data-field="code">${code}</code>`],
    ['Reference', status === 404 ? undefined : idText(reference)],
  ] as const
  return {
    title: titleOf(error, page),
    content: html`<p data-field="sentence">${sentenceOf(error, page)}</p>
${facts(rows)}
<p><a class="button" href="/admin">Go to the overview</a></p>`,
  }
}

function titleOf({ status, code }: GatehouseError, { title }: AdminPage): string {
  if (code === 'not_allowed') return title
  if (status === 404) return 'Not found'
  return status >= 500 ? `${title} cannot be shown` : `${title}: check the address`
}

function sentenceOf({ code, sentence }: GatehouseError, { permission }: AdminPage): Html | string {
  if (code === 'not_allowed') {
    return html`This page needs the permission <code>${permission}</code> (${
      ADMIN_PERMISSIONS[permission]
    }), which you do not have. A group that has it gives it to you.`
  }
  return code === 'not_found' ? 'There is nothing at this address of the console.' : sentence
}
