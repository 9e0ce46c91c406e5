// Forms that make and revoke API tokens. The page that answers the first one is the only one that has the token.
import { randomUUID } from 'node:crypto'
import Type from 'typebox'
import { MOST_TOKEN_NAME, type MadeToken } from '../../../admin/acts/tokens.js'
import { ADMIN_PERMISSIONS, type AdminPermission } from '../../../core/admin-permissions.js'
import type { FormValues } from '../../../core/admin-forms.js'
import { TOKEN_LIFETIME_DAYS } from '../../../core/token.js'
import { html, type Html } from '../../pages/html.js'
import { addToken, DEFAULT_TOKEN_DAYS, revokeToken, TOKEN_SCOPES } from '../api/tokens.js'
import { defineActPage } from './act-page.js'
import { formField, textField } from './form-fields.js'
import { facts, idText, nameText, note, timeText } from './components.js'
import type { PageContent } from './page.js'

const PATH = '/admin/programs'
const TRAIL = [{ label: 'Programs', href: PATH }] as const
const CHOSEN = 'yes'

export const addTokenPage = defineActPage({
  act: addToken,
  path: `${PATH}/add`,
  title: 'Make an API token',
  params: Type.Object({}),
  fields: {
    name: Type.String({ maxLength: MOST_TOKEN_NAME }),
    days: Type.Integer({ minimum: 1, maximum: TOKEN_LIFETIME_DAYS }),
    requestId: Type.String({ format: 'uuid' }),
    ...Object.fromEntries(TOKEN_SCOPES.map((scope) => [scope, Type.Optional(Type.Literal(CHOSEN))])),
  },
  bodyOf: ({ name, days, requestId, ...chosen }) => ({
    name,
    expiresInDays: days,
    requestId,
    scopes: TOKEN_SCOPES.filter((scope) => (chosen as FormValues)[scope] === CHOSEN),
  }),
  done: 'The API token is made.',
  shown: (answer) => madeContent(answer as MadeToken),
  describe: async ({ values, actor: { permissions } }) => ({
    title: 'Make an API token',
    trail: TRAIL,
    content:
      html`<p>A program sends it to the admin API instead of a session. At each use it is worth what its scopes and
your rights of that moment both allow. It never does what needs a new sign-in or is about superusers.</p>`,
    fields: html`${
      textField({
        name: 'name',
        label: 'What it is for',
        value: values['name'],
        maxLength: MOST_TOKEN_NAME,
        hint: 'Such as: Nightly report.',
      })
    }
${scopesField(TOKEN_SCOPES.filter((scope) => permissions.has(scope)), values)}
${daysField(values['days'])}
<input type="hidden" name="requestId" value="${values['requestId'] ?? randomUUID()}">`,
    button: 'Make this API token',
    back: PATH,
  }),
})

/** Those that the administrator holds: no other may be given. */
function scopesField(scopes: readonly AdminPermission[], values: FormValues): Html {
  const choices = scopes.map((scope) =>
    html`<label class="choice"><input type="checkbox" name="${scope}" value="${CHOSEN}"${
      values[scope] === CHOSEN ? html` checked` : ''
    }><span><code>${scope}</code> ${ADMIN_PERMISSIONS[scope]}</span></label>
`
  )
  return html`<fieldset><legend>Scopes</legend>
<p class="hint">At least one. Each of them includes <code>gatehouse.read</code>.</p>
${choices}</fieldset>`
}

function daysField(value: string | undefined): Html {
  const days = value ?? DEFAULT_TOKEN_DAYS
  return formField({
    name: 'days',
    label: 'Days until it ends',
    kind: 'number',
    hint: `At most ${TOKEN_LIFETIME_DAYS}.`,
    control: (attributes) =>
      html`<input${attributes} type="number" min="1" max="${TOKEN_LIFETIME_DAYS}" value="${days}" required>`,
  })
}

function madeContent({ id, token, expiresAt }: MadeToken): PageContent {
  return {
    title: 'Your new API token',
    trail: TRAIL,
    content: html`${note('It is shown now and never again: Gatehouse keeps a hash of it alone.', 'warn')}
<p><code class="secret">${token}</code></p>
<p>The program sends it with each request: <code>Authorization: Bearer gha_…</code></p>
${facts([['Id', idText(id)], ['Ends', timeText(expiresAt)]])}
<p><a class="button" href="${PATH}">I have kept it: back to the programs</a></p>`,
  }
}

export const revokeTokenPage = defineActPage({
  act: revokeToken,
  path: `${PATH}/:id/revoke`,
  title: 'Revoke an API token',
  params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 100 }) }),
  done: 'The API token is revoked.',
  async describe({ params, useCases }) {
    const { id, name, owner, scopes, lastUsedAt } = await useCases.tokens.get(params.id)
    return {
      title: `Revoke the API token ${name}`,
      trail: TRAIL,
      content: html`<p>Programs that use it are refused from the next request on. This cannot be undone.</p>
${
        facts([
          ['Id', idText(id)],
          ['Owner', nameText(owner)],
          ['Scopes', scopes.join(', ')],
          ['Last use', timeText(lastUsedAt, 'never')],
        ])
      }`,
      button: `Revoke the API token ${name}`,
      back: PATH,
    }
  },
})
