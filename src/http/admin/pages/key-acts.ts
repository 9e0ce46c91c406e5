// Forms that rotate the keys which sign assertions, and the links to them on the page System.
import Type from 'typebox'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { rotateKeys } from '../api/key-acts.js'
import { defineActPage } from './act-page.js'
import { textField } from './form-fields.js'

const SYSTEM = '/admin/system'
const trail = [{ label: 'System', href: SYSTEM }]
const WITHDRAW = 'withdraw all keys'

export const rotateKeysPage = defineActPage({
  act: rotateKeys,
  path: '/admin/system/rotate-keys',
  title: 'Rotate the signing keys',
  params: Type.Object({}),
  done: 'The next signing key is published.',
  describe: async () => ({
    title: 'Rotate the signing keys',
    trail,
    content: html`<p>The next key is published now and signs in 15 minutes. What the present key has signed stays valid
until it expires. Where a key waits to sign already, nothing changes.</p>`,
    button: 'Rotate the signing keys',
    back: SYSTEM,
  }),
})

export const withdrawKeysPage = defineActPage({
  act: rotateKeys,
  path: '/admin/system/withdraw-keys',
  title: 'Withdraw all signing keys',
  params: Type.Object({}),
  fields: { confirm: Type.String({ maxLength: 100 }) },
  bodyOf: () => ({ now: true }),
  done: 'A new key signs, and all others are withdrawn.',
  describe: async ({ values }) => ({
    title: 'Withdraw all signing keys',
    trail,
    content:
      html`<p>For a key that leaked or cannot be opened. A new key signs immediately, and all others are withdrawn.
Applications refuse every assertion that they have signed as soon as they fetch the public keys again, and get a new one
with the next request. Sessions go on.</p>`,
    fields: textField({
      name: 'confirm',
      label: 'Confirmation',
      value: values['confirm'],
      maxLength: 100,
      hint: `Type ${WITHDRAW}`,
    }),
    confirmation: WITHDRAW, // guard: act-withdraw-confirmed
    button: 'Withdraw all signing keys',
    back: SYSTEM,
  }),
})

export function keyActs({ permissions }: AdminActor): Html | string {
  if (!permissions.has('gatehouse.keys')) return ''
  return html`<ul class="acts"><li><a class="button" href="${rotateKeysPage.page.path}">Rotate the signing keys</a></li>
<li><a class="button" href="${withdrawKeysPage.page.path}">Withdraw all signing keys</a></li></ul>`
}
