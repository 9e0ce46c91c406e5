// Which approvals of a change of the policy count.
import t from 'tap'
import type { Holdings } from '../../src/core/ceiling.js'
import { approvalState, requireApprovals, usersOf, type PolicyApproval } from '../../src/core/policy-approval.js'

const SUPERUSER: Holdings = { isStaff: false, isSuperuser: true, permissions: [] }
const TRUSTED: Holdings = { isStaff: false, isSuperuser: false, permissions: ['gatehouse.policy'] }
const CHANGE = { textHash: 'a', policyHash: 'b', onto: 3, preview: 'c' }

function approval(changed: Partial<PolicyApproval> = {}): PolicyApproval {
  return { ...CHANGE, approverId: 'gus', approverName: 'gus', at: '2026-11-28T00:00:00Z', holder: TRUSTED, ...changed }
}

function state(given: Partial<PolicyApproval> = {}, rules: Partial<Parameters<typeof approvalState>[1]> = {}): string {
  return approvalState(approval(given), { change: CHANGE, excluded: new Set(), mayDeploy: () => true, ...rules })
}

// proves: policy-approval-text, policy-approval-onto, policy-approval-preview, policy-approval-editor
// proves: policy-approval-rights
t.test('an approval counts as long as nothing that it is of has changed', async (t) => {
  t.equal(state(), 'counts')
  t.equal(state({ textHash: 'x' }), 'text_changed')
  t.equal(state({ policyHash: 'x' }), 'policy_changed')
  t.equal(state({ onto: 2 }), 'policy_changed', 'the same text under an earlier number')
  t.equal(state({ preview: 'x' }), 'preview_changed')
  t.equal(state({}, { change: { ...CHANGE, preview: undefined } }), 'preview_changed', 'there is no preview now')
  t.equal(state({ preview: null }), 'preview_changed', 'one of a rollback is of no draft')
  t.equal(state({ preview: null }, { change: { ...CHANGE, preview: null } }), 'counts', 'of a rollback')
  t.equal(state({}, { excluded: new Set(['gus']) }), 'editor')
  t.equal(state({}, { excluded: new Set(['sue']) }), 'counts')
  t.equal(state({ holder: null }), 'rights_lost', 'an inactive user')
  t.equal(state({ holder: { ...TRUSTED, permissions: ['gatehouse.read'] } }), 'rights_lost', 'without gatehouse.policy')
  const superusersAlone = (holder: Holdings): boolean => holder.isSuperuser
  t.equal(state({}, { mayDeploy: superusersAlone }), 'rights_lost', 'what superusers alone may change')
  t.equal(state({ holder: SUPERUSER }, { mayDeploy: superusersAlone }), 'counts')
})

// proves: policy-approvals-counted
t.test('what is refused says how many approvals are missing', async (t) => {
  t.doesNotThrow(() => requireApprovals(0, 0))
  t.doesNotThrow(() => requireApprovals(3, 2))
  t.throws(() => requireApprovals(0, 2), {
    code: 'policy_approvals_missing',
    facts: { missing: 2 },
    sentence: /^2 more/,
  })
  t.throws(() => requireApprovals(1, 2), {
    code: 'policy_approvals_missing',
    facts: { missing: 1 },
    sentence: /^1 more/,
  })
})

t.test('actors of the audit record that are users', async (t) => {
  t.strictSame([...usersOf(['admin:one', 'cli:root', 'replica:x', 'admin:two', 'admin:one'])], ['one', 'two'])
})
