// Forms that give a local group a permission, and take it away.
import Type from 'typebox'
import { ADMIN_PERMISSIONS, isAdminPermission } from '../../../core/admin-permissions.js'
import { html, type Html } from '../../pages/html.js'
import { grantPermission, revokePermission, Word } from '../api/group-acts.js'
import { GroupName } from '../api/groups.js'
import { defineActPage } from './act-page.js'
import { textField } from './form-fields.js'
import { nameText } from './components.js'
import { groupForm, people } from './group-acts.js'
import { linkTo } from './links.js'
import { shortened } from './shortened.js'

export const grantPermissionPage = defineActPage({
  act: grantPermission,
  path: '/admin/groups/:name/grant',
  title: 'Give a group a permission',
  params: GroupName,
  fields: { word: Word },
  asks: ['word'],
  done: 'The group has the permission.',
  describe: async (asked) =>
    await groupForm(asked, ({ name, members }) => ({
      title: `Give ${shortened(name)} a permission`,
      content: html`<p>${people(members)} ${members === 1 ? 'gets' : 'get'} it immediately, and everybody who comes into
${
        nameText(shortened(name))
      } later. These permissions are for the console; you can give those that you have yourself:</p>
<ul>${
        Object.entries(ADMIN_PERMISSIONS).map(([word, meaning]) => html`<li><code>${word}</code>: ${meaning}</li>`)
      }</ul>`,
      fields: textField({
        name: 'word',
        label: 'Permission',
        value: asked.values['word'],
        maxLength: 200,
        hint: 'Words joined by dots, like netbox.view.',
      }),
      button: `Give it to ${shortened(name)}; ${people(members)} ${members === 1 ? 'gets' : 'get'} it`,
    })),
})

export const revokePermissionPage = defineActPage({
  act: revokePermission,
  path: '/admin/groups/:name/permissions/:word/revoke',
  title: 'Take a permission from a group',
  params: Type.Object({ ...GroupName.properties, word: Word }),
  done: 'The group does not have the permission any more.',
  async describe(asked) {
    const { word } = asked.params
    return await groupForm(asked, ({ name, members }) => ({
      title: `Take ${shortened(word)} from ${shortened(name)}`,
      content: html`<p>${people(members)} ${members === 1 ? 'loses' : 'lose'} <code>${word}</code> immediately, unless
another group of theirs has it${
        isAdminPermission(word) ? html`. It lets them ${ADMIN_PERMISSIONS[word]}; superusers keep it` : ''
      }.</p>`,
      button: `Take ${shortened(word)} from ${shortened(name)}; ${people(members)} ${
        members === 1 ? 'loses' : 'lose'
      } it`,
    }))
  },
})

/** Leads to the form. */
export function revokeLink(group: string, word: string): Html {
  const href = `${linkTo('groups', group)}/permissions/${encodeURIComponent(word)}/revoke`
  return html`<a class="button small" href="${href}">Take away<span class="unseen"> ${word}</span></a>`
}
