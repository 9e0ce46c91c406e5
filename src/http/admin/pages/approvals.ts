// Who has approved a draft or a rollback, on the pages of both and in the forms that deploy them.
import type { ShownApproval, ShownApprovals } from '../../../admin/policy-approvals.js'
import type { ApprovalState } from '../../../core/policy-approval.js'
import { html, type Html } from '../../pages/html.js'
import { emptyState, nameText, section, tag, timeText } from './components.js'
import { linkTo } from './links.js'
import { shortened } from './shortened.js'
import { dataTable } from './table.js'

const STATES: Readonly<Record<ApprovalState, string>> = {
  counts: 'counts',
  text_changed: 'the text is another one now',
  policy_changed: 'another version is in force now',
  preview_changed: 'the preview is another one now, or must be made again',
  editor: 'has edited the draft since',
  rights_lost: 'would not be allowed to deploy it',
}

/** Empty where none is needed and none was given. */
export function approvalsSection({ needed, approvals }: ShownApprovals): Html | string {
  if (needed === 0 && approvals.length === 0) return ''
  const given = approvals.filter(({ state }) => state === 'counts').length
  return section({
    id: 'approvals',
    title: 'Approvals',
    lead: needed === 0
      ? 'None is needed; one by a superuser lets others deploy what superusers alone may change.'
      : `${given} of ${needed} that are needed.`,
    content: dataTable<ShownApproval>({
      caption: 'Approvals',
      rows: approvals,
      columns: [
        {
          heading: 'By',
          cell: ({ approverId, approverName }) =>
            html`<a href="${linkTo('people', approverId)}">${nameText(shortened(approverName))}</a>`,
          kind: 'name',
        },
        { heading: 'Given', cell: ({ at }) => timeText(at), kind: 'time' },
        { heading: 'State', cell: ({ state }) => stateOf(state), kind: 'text' },
      ],
      empty: emptyState({ title: 'No administrator has approved it.', next: 'Send them the address of this page.' }),
    }),
  })
}

function stateOf(state: ApprovalState): Html {
  return state === 'counts'
    ? tag('counts', 'good')
    : html`${tag('does not count', 'warn')} <span class="soft">${STATES[state]}</span>`
}
