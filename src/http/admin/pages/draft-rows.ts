// The rows of groupMapping in a draft, as forms.
import { MOST_LINE, rowFields, rowValue, type RowFields } from '../../../admin/entry-fields.js'
import type { EntryView } from '../../../admin/policy-entries.js'
import { html, type Html } from '../../pages/html.js'
import { idText, named, nameText, tag } from './components.js'
import { entryPages, FLAG, LINE, LINES, sourceCell } from './draft-entries.js'
import { MOST_LINES } from './draft-entry-place.js'
import { checkbox, CHOSEN, lineList, textArea, textField } from './form-fields.js'
import { shortList } from './lists.js'
import { shortened } from './shortened.js'

const NONE: RowFields = { entraGroup: '', label: '', groups: [], staff: false, superuser: false }

export const rowPages = entryPages<RowFields>({
  list: 'groupMapping',
  section: 'rows',
  one: 'row',
  title: 'Rows',
  lead:
    'Each row of groupMapping: an Entra group, and all that it grants. A draft changes nothing until it is the policy.',
  search: 'Label, object ID or local group',
  fields: { entraGroup: LINE, label: LINE, groups: LINES, staff: FLAG, superuser: FLAG },
  none: NONE,
  fieldsOf: rowFields,
  valueOf: rowValue,
  entered: ({ entraGroup = '', label = '', groups = '', staff, superuser }) => ({
    entraGroup,
    label,
    groups: lineList(groups),
    staff: staff === CHOSEN,
    superuser: superuser === CHOSEN,
  }),
  isOrdered: false,
  controls: ({ entraGroup, label, groups, staff, superuser }, problems) =>
    html`${
      textField({
        name: 'entraGroup',
        label: 'Object ID of the Entra group',
        value: entraGroup,
        maxLength: MOST_LINE,
        hint: 'As its page in the Entra admin center shows it, never its display name.',
        problem: problems('entraGroup'),
        optional: true,
      })
    }${
      textField({
        name: 'label',
        label: 'Label',
        value: label,
        maxLength: MOST_LINE,
        hint: 'What people read instead of the Object ID.',
        problem: problems('label'),
        optional: true,
      })
    }${
      textArea({
        name: 'groups',
        label: 'Local groups, one a line',
        value: groups.join('\n'),
        maxLength: MOST_LINES,
        rows: Math.min(Math.max(groups.length + 1, 4), 20),
        hint: 'Exact names of groups that exist: its members are in them.',
        problem: problems('groups'),
        optional: true,
      })
    }${checkbox({ name: 'staff', label: 'Its members are staff', isChosen: staff, problem: problems('staff') })}${
      checkbox({
        name: 'superuser',
        label: 'Its members are superusers',
        isChosen: superuser,
        problem: problems('superuser'),
      })
    }`,
  columns: () => [{ heading: 'Entra group', cell: entraGroupCell }, { heading: 'Grants', cell: grantsCell }],
})

function fieldsOf({ value }: EntryView): RowFields | undefined {
  return value === undefined ? undefined : rowFields(value)
}

function entraGroupCell(entry: EntryView): Html {
  const { entraGroup, label } = fieldsOf(entry) ?? NONE
  if (entraGroup === '') return sourceCell(entry)
  const id = shortened(entraGroup)
  return label === '' ? idText(id) : named({ name: shortened(label), id })
}

function grantsCell(entry: EntryView): Html {
  const { groups, staff, superuser } = fieldsOf(entry) ?? NONE
  const flags = [...superuser ? [tag('superuser', 'strong')] : [], ...staff ? [tag('staff', 'info')] : []]
  if (flags.length === 0 && groups.length === 0) return html`<span class="soft">nothing</span>`
  return html`<div>${flags}${flags.length > 0 && groups.length > 0 ? ' ' : ''}${
    shortList(groups, (group) => nameText(shortened(group)))
  }</div>`
}
