// Forms that approve the deploy of a draft, and a rollback to an earlier version, by another administrator.
import Type from 'typebox'
import type { PolicyDraft } from '../../../core/policy-draft.js'
import { draftVersion } from '../../../core/policy-draft.js'
import { versionTag } from '../../../core/version-tag.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { approveDraft, approveRollback } from '../api/policy-approvals.js'
import { PreviewHash, VersionNumber } from '../api/policy-schemas.js'
import { defineActPage } from './act-page.js'
import { approvalsSection } from './approvals.js'
import { note, section } from './components.js'
import { draftShown, inTheFile, noPreview, seenPreview } from './deploy-acts.js'
import { DRAFTS, VERSIONS_TRAIL } from './draft-link.js'
import { DRAFT_PARAMS } from './drafts-page.js'
import { hidden } from './form-fields.js'
import { link, linkTo } from './links.js'
import { changesTable } from './versions-page.js'

const onto = Type.Optional(VersionNumber)

export const approveDraftPage = defineActPage({
  act: approveDraft,
  path: `${DRAFTS}/:id/approve`,
  title: 'Approve a draft',
  params: DRAFT_PARAMS,
  fields: { onto, preview: Type.Optional(PreviewHash) },
  bodyOf: (values) => values,
  done: 'Your approval is given.',
  async describe({ params: { id }, actor, useCases }) {
    const { draft, inForce, result, approvals, at, name, trail } = await draftShown(id, useCases)
    const problem = problemOf(draft, actor, useCases.policyDrafts.source, at) ??
      (result === undefined ? noPreview(at) : undefined)
    return {
      title: `Approve the draft ${name}`,
      trail,
      content: html`${problem ?? ''}${whatItMeans(inForce)}${result === undefined ? '' : seenPreview(result, at)}${
        approvalsSection(approvals)
      }`,
      fields: html`${hidden('onto', inForce)}${hidden('preview', result?.hash)}`,
      button: `Approve the deploy of ${name}`,
      version: versionTag(draftVersion(draft)),
      back: at,
      next: at,
      ...problem === undefined ? {} : { pending: { status: 400 as const, note: problem, asksReason: false } },
    }
  },
})

/** Why this administrator cannot approve it. */
function problemOf(
  { editors }: PolicyDraft,
  { userId }: AdminActor,
  source: 'file' | 'database',
  at: string,
): Html | undefined {
  if (source === 'file') return inTheFile(at)
  return editors.includes(`admin:${userId}`)
    ? note('You have edited this draft: another administrator must approve it.', 'warn')
    : undefined
}

function whatItMeans(inForce: number | undefined): Html {
  const replaced = inForce === undefined
    ? html`the version in force`
    : html`<a href="${linkTo('versions', String(inForce))}">version ${inForce}</a>`
  return html`<p>You say that this may replace ${replaced}. Nothing is changed by it: it is deployed afterwards. It
counts as long as the text, the preview and the version in force are the same, and you would be allowed to deploy
it.</p>`
}

export const approveRollbackPage = defineActPage({
  act: approveRollback,
  path: '/admin/versions/:number/approve',
  title: 'Approve a rollback',
  params: Type.Object({ number: VersionNumber }),
  fields: { onto },
  bodyOf: (values) => values,
  done: 'Your approval is given.',
  async describe({ params: { number }, useCases: { policyDrafts, policyVersions, policyApprovals } }) {
    const [version, inForce, approvals] = await Promise.all([
      policyVersions.get(number),
      policyDrafts.inForce(),
      policyApprovals.ofVersion(number),
    ])
    const at = linkTo('versions', String(version.number))
    const diff = inForce === undefined ? undefined : await policyVersions.diff(inForce, number)
    return {
      title: `Approve a rollback to version ${number}`,
      trail: [VERSIONS_TRAIL, { label: `Version ${number}`, href: at }],
      content: html`${
        policyDrafts.source === 'file'
          ? note('The policy is in the configuration file, and is changed there.', 'warn')
          : whatItMeans(inForce)
      }${
        diff === undefined ? '' : section({
          id: 'changes',
          title: 'What it changes of the policy in force',
          lead: html`<a href="${link('/admin/versions/diff', { from: inForce, to: number })}">Line by line</a>`,
          content: changesTable(diff.changes),
        })
      }${approvalsSection(approvals)}`,
      fields: html`${hidden('onto', inForce)}`,
      button: `Approve a rollback to version ${number}`,
      back: at,
      next: at,
    }
  },
})
