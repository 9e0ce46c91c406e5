// What the sign-out of the console answers.
import { html } from '../pages/html.js'
import type { Page } from '../pages/layout.js'

export function consoleSignedOutPage(publicUrl: string): Page {
  return {
    title: 'You are signed out of the console',
    body: html`<p data-field="signed-out">Your session in the console has ended. You are still signed in to your
applications.</p>
<div class="actions"><a class="button" href="${publicUrl}/">See what is open to you</a>
<a class="button plain" href="${publicUrl}/admin">Open the console again</a></div>`,
  }
}
