// The page that an administrator sees after granting or declining consent at Entra ID. The parameters are not verified,
// so the page only reports them and changes nothing.
import { html } from './html.js'
import type { Page } from './layout.js'

export interface ConsentAnswer {
  readonly admin_consent?: string
  readonly error?: string
}

export function consentPage({ admin_consent: consent = '', error }: ConsentAnswer, publicUrl: string): Page {
  const given = error === undefined && /^true$/i.test(consent)
  return {
    title: given ? 'Consent was given' : 'Consent was not given',
    body: html`<p data-field="consent">
        ${
      given
        ? 'Microsoft Entra ID reports that an administrator gave the permissions that this gateway asks for. People ' +
          'can sign in now.'
        : 'Microsoft Entra ID reports that the permissions were not given. People cannot sign in until an ' +
          'administrator gives them.'
    }
      </p>
      <div class="actions"><a class="button" href="${publicUrl}/oauth2/start">${
      given ? 'Sign in' : 'Try to sign in'
    }</a></div>`,
  }
}
