// The page after a sign-in whose long return address is no longer stored (browser/long-return.ts).
import { html } from './html.js'
import type { Page } from './layout.js'

export function returnAddressLostPage(frontPage: string): Page {
  const { host } = new URL(frontPage)
  return {
    title: 'You are signed in',
    body: html`<p data-field="lost">The address that you opened is too long to pass through the sign-in, and Gatehouse
no longer has it. Open your link again, or go to the front page.</p>
<div class="actions"><a class="button" href="${frontPage}">Go to ${host}</a></div>`,
  }
}
