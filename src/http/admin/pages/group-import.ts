// The import of local groups: the file is entered, what it changes is shown, and only then it can be applied.
import Type from 'typebox'
import { groupVersion } from '../../../admin/acts/group-policy.js'
import { MOST_GROUPS_FILE, parseGroupsFile } from '../../../admin/groups-file.js'
import { GatehouseError } from '../../../core/errors.js'
import { groupChanges, type GroupChange } from '../../../core/group-definitions.js'
import type { GroupView } from '../../../core/groups.js'
import { versionTag } from '../../../core/version-tag.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { importGroups } from '../api/group-acts.js'
import { defineActPage, type ActForm, type PendingForm } from './act-page.js'
import { linesOf, textArea } from './form-fields.js'
import { emptyState, nameText, note } from './components.js'
import { addGroupPage, GROUPS_TRAIL } from './group-acts.js'
import { shortened } from './shortened.js'
import { dataTable } from './table.js'

export const GROUPS_FILE = '/admin/groups.yaml'
/** Of a form: a character may take twelve bytes. */
const MOST_BYTES = 12 * MOST_GROUPS_FILE + 10_000
/** More of them are counted alone. */
const MOST_CHANGES_SHOWN = 200

export const importGroupsPage = defineActPage({
  act: importGroups,
  path: '/admin/import-groups', // a group may be called "import"
  title: 'Import groups',
  params: Type.Object({}),
  fields: {
    yaml: Type.String({ minLength: 1, maxLength: 2 * MOST_GROUPS_FILE }), // a line end is two characters
    previewed: Type.Optional(Type.String()),
  },
  mostBytes: MOST_BYTES,
  bodyOf: ({ yaml }) => ({ yaml: linesOf(yaml) }),
  done: 'The groups are as the file describes them.',
  async describe({ values: { yaml = '', previewed }, useCases }) {
    const groups = await useCases.groups.all()
    const file = linesOf(yaml)
    return { ...formOf(file, previewed, groups), version: versionTag(groups.map(groupVersion)) }
  },
})

function formOf(file: string, previewed: string | undefined, groups: readonly GroupView[]): ActForm {
  const common = { title: 'Import groups', trail: [GROUPS_TRAIL], back: '/admin/groups' }
  const look = { ...common, content: INTRODUCTION, fields: fileField(file), button: 'Show what would change' }
  if (file === '') return { ...look, pending: pending(200, note('Nothing was entered yet.')) }
  let changes: readonly GroupChange[]
  try {
    changes = groupChanges(parseGroupsFile(file, 'groups.yaml'), groups)
  } catch (thrown) {
    if (!(thrown instanceof GatehouseError)) throw thrown
    return { ...look, pending: pending(400, note(thrown.sentence, 'bad')) }
  }
  if (changes.length === 0) return { ...look, pending: pending(200, NOTHING) }
  const seen = versionTag([file, changes])
  const fields = html`${fileField(file)}<input type="hidden" name="previewed" value="${seen}">`
  const apply = { ...common, content: changesTable(changes), fields, button: `Apply ${count(changes.length)}` }
  // guard: act-groups-previewed
  return previewed === seen ? apply : { ...apply, pending: { ...pending(200, PREVIEW), asksReason: true } }
}

function pending(status: 200 | 400, text: Html): PendingForm {
  return { status, note: text, asksReason: false }
}

const INTRODUCTION = html`<p>The file is that of <code>gatehouse groups export</code>: <a href="${GROUPS_FILE}">the
groups as they are now</a>. What is missing is added, descriptions and permissions become as described, and groups that
the file does not name stay.</p>`
const PREVIEW = note('Nothing was changed yet. This is what would change.')
const NOTHING = note('Nothing to change: the groups are as the file describes them.')

function fileField(file: string): Html {
  return textArea({
    name: 'yaml',
    label: 'File (YAML)',
    value: file,
    maxLength: MOST_GROUPS_FILE,
    rows: 14,
    hint: 'groups: [{ name: Network Engineers, permissions: [netbox.view] }]',
  })
}

function count(changes: number): string {
  return `${changes} ${changes === 1 ? 'change' : 'changes'}`
}

function changesTable(changes: readonly GroupChange[]): Html {
  const more = changes.length - MOST_CHANGES_SHOWN
  return html`${
    dataTable<GroupChange>({
      caption: `What would change (${count(changes.length)})`,
      rows: changes.slice(0, MOST_CHANGES_SHOWN),
      columns: [
        { heading: 'Group', cell: ({ name }) => nameText(shortened(name)) },
        { heading: 'Change', cell: ({ change }) => change },
        { heading: 'Value', cell: ({ value = '' }) => nameText(shortened(value)) },
      ],
      empty: emptyState({ title: 'Nothing would change.', next: 'Change the file, then look again.' }),
    })
  }${more > 0 ? html`<p>And ${count(more)} more.</p>` : ''}`
}

/** For the list of groups. */
export function groupsActs({ permissions }: AdminActor): Html {
  const to = (href: string, text: string): Html => html`<li><a class="button" href="${href}">${text}</a></li>`
  return html`<ul class="acts">${
    permissions.has('gatehouse.policy')
      ? html`${to(addGroupPage.page.path, 'Add a group')}${to(importGroupsPage.page.path, 'Import groups')}`
      : ''
  }<li><a class="button" href="${GROUPS_FILE}" hx-boost="false">Export groups (YAML)</a></li></ul>`
}
