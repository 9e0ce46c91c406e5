// Forms that deploy a draft of the policy, and roll back to an earlier version, where the policy is in the database.
import Type from 'typebox'
import { NO_SUPERUSER } from '../../../admin/policy-deploys.js'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import type { FormValues } from '../../../core/admin-forms.js'
import { draftVersion, MOST_DRAFT_MESSAGE } from '../../../core/policy-draft.js'
import type { PreviewResult } from '../../../core/policy-preview.js'
import { versionTag } from '../../../core/version-tag.js'
import { html, type Html } from '../../pages/html.js'
import { MOST_REASON, Reason } from '../api/act.js'
import { PreviewHash, VersionNumber } from '../api/policy-schemas.js'
import { deployDraft, rollbackVersion } from '../api/policy-deploys.js'
import { defineActPage } from './act-page.js'
import { approvalsSection } from './approvals.js'
import { note, section } from './components.js'
import { DRAFTS, VERSIONS_TRAIL } from './draft-link.js'
import { previewFacts } from './preview-result.js'
import { DRAFT_PARAMS, draftName, DRAFTS_TRAIL } from './drafts-page.js'
import { hidden, textField } from './form-fields.js'
import { link, linkTo } from './links.js'
import { shortened } from './shortened.js'
import { changesTable } from './versions-page.js'

const MOST_WITHOUT_TEXT = 2_000

const FIELDS = {
  message: Type.Optional(Type.String({ maxLength: MOST_DRAFT_MESSAGE })),
  onto: Type.Optional(VersionNumber),
  without: Type.Optional(Type.String({ maxLength: MOST_WITHOUT_TEXT })),
  confirm: Type.Optional(Type.String({ maxLength: 100 })),
  apply: Type.Optional(Type.Literal('now')),
}

interface Sent {
  readonly message?: string
  readonly onto?: number
  readonly without?: string
  readonly confirm?: string
  readonly apply?: 'now'
}

function bodyOf({ message = '', onto, without = '', confirm, apply }: Sent): Readonly<Record<string, unknown>> {
  const names = without.split(/[\s,]+/).filter((name) => name !== '')
  return {
    message,
    onto,
    ...names.length === 0 ? {} : { without: names },
    ...confirm === undefined ? {} : { confirm },
    ...apply === undefined ? {} : { apply },
  }
}

function versionOf(answer: unknown): string {
  return linkTo('versions', String((answer as { readonly number: number }).number))
}

export const deployDraftPage = defineActPage({
  act: deployDraft,
  path: `${DRAFTS}/:id/deploy`,
  title: 'Deploy a draft',
  params: DRAFT_PARAMS,
  fields: { ...FIELDS, preview: Type.Optional(PreviewHash), reason: Type.Optional(Reason) },
  bodyOf: ({ preview, reason, ...sent }) => ({
    ...bodyOf(sent),
    preview,
    ...reason === undefined ? {} : { reason },
  }),
  done: 'The draft is the policy now. Its text is this version.',
  nextOf: versionOf,
  async describe({ params: { id }, values, useCases }) {
    const { source } = useCases.policyDrafts
    const { draft, inForce: onto, result, approvals, at, name, trail } = await draftShown(id, useCases)
    const isReady = source === 'database' && result !== undefined && onto !== undefined
    return {
      title: `Deploy the draft ${name}`,
      trail,
      content: html`${source === 'file' ? inTheFile(at) : whatHappens(onto)}${
        result === undefined ? noPreview(at) : seenPreview(result, at)
      }${approvalsSection(approvals)}`,
      fields: html`${hidden('onto', onto)}${hidden('preview', result?.hash)}${
        commonFields(values, draft.message.trim())
      }${reasonField(values, result)}${applyField(values, (result?.losses ?? 0) > 0)}`,
      button: `Make ${name} the policy`,
      version: versionTag(draftVersion(draft)),
      back: at,
      ...isReady ? {} : { pending: { status: 400 as const, note: noPreview(at), asksReason: false } },
    }
  },
})

/** What the forms that deploy and approve a draft show of it. @throws GatehouseError `policy_draft_unknown` */
export async function draftShown(
  id: string,
  { policyDrafts, policyPreview, policyApprovals }: Pick<
    AdminUseCases,
    'policyDrafts' | 'policyPreview' | 'policyApprovals'
  >,
) {
  const [draft, inForce, preview, approvals] = await Promise.all([
    policyDrafts.get(id),
    policyDrafts.inForce(),
    policyPreview.last(id),
    policyApprovals.ofDraft(id),
  ])
  const at = linkTo('drafts', id)
  const name = shortened(draftName(draft))
  const trail = [DRAFTS_TRAIL, { label: name, href: at }]
  return { draft, inForce, result: preview?.result ?? undefined, approvals, at, name, trail }
}

function whatHappens(onto: number | undefined): Html {
  const replaces = onto === undefined
    ? html`It replaces the version in force.`
    : html`It replaces <a href="${linkTo('versions', String(onto))}">version ${onto}</a>.`
  return html`<p>${replaces} Every replica tries it first: if one of them refuses or does not answer, nothing is
changed. Then it is in force on all replicas within a second, without a restart, and sessions go on. Each user has the
new rights from the next sign-in or re-evaluation on, unless it is applied now.</p>`
}

/** As the link of the page of the draft. */
export function inTheFile(at: string): Html {
  return note(
    html`The policy is in the configuration file, and is changed there. <a href="${at}/policy.yaml" download
hx-boost="false">Download policy.yaml</a> or <a href="${at}/policy.patch" download hx-boost="false">the patch</a>.`,
    'warn',
  )
}

export function noPreview(at: string): Html {
  return note(
    html`There is no preview of the draft as it is now. <a href="${at}/preview">Make it</a>, then deploy.`,
    'warn',
  )
}

export function seenPreview(result: PreviewResult, at: string): Html {
  return previewFacts(result, html`, by <a href="${at}/preview">the preview</a>`, [
    ['Beside rights', html`<a href="${at}/changes">What else it changes</a>`],
  ])
}

function commonFields(values: FormValues, message: string): Html {
  return html`${
    textField({
      name: 'message',
      label: 'Message',
      value: values['message'] ?? message,
      maxLength: MOST_DRAFT_MESSAGE,
      hint: 'The version keeps it.',
    })
  }${
    textField({
      name: 'without',
      label: 'Replicas to leave out (optional)',
      value: values['without'],
      maxLength: MOST_WITHOUT_TEXT,
      hint: 'Names of replicas that are gone for good, such as host:4180. They answer 503 if they run.',
      optional: true,
    })
  }${
    textField({
      name: 'confirm',
      label: 'Confirmation (optional)',
      value: values['confirm'],
      maxLength: 100,
      hint: `Only where no superuser would be left, or you would not be one any more: type ${NO_SUPERUSER}`,
      optional: true,
    })
  }`
}

/** @param isUsual whether it is ticked in a form that was not sent yet */
function applyField(values: FormValues, isUsual: boolean): Html {
  const isTicked = values['onto'] === undefined ? isUsual : values['apply'] === 'now'
  return html`<p><label class="choice"><input type="checkbox" name="apply" value="now"${
    isTicked ? html` checked` : ''
  }><span>Apply it now to everybody who is signed in, by the last snapshot of their groups: who loses a right by it
loses it within a moment</span></label></p>`
}

function reasonField(values: FormValues, result: PreviewResult | undefined): Html {
  const isNeeded = (result?.losses ?? 0) > 0
  return textField({
    name: 'reason',
    label: isNeeded ? 'Reason' : 'Reason (optional)',
    value: values['reason'],
    maxLength: MOST_REASON,
    hint: 'The audit record keeps it.',
    optional: !isNeeded,
  })
}

export const rollbackPage = defineActPage({
  act: rollbackVersion,
  path: '/admin/versions/:number/rollback',
  title: 'Roll back',
  params: Type.Object({ number: VersionNumber }),
  fields: FIELDS,
  bodyOf,
  done: 'The text of the earlier version is the policy now, as this version.',
  nextOf: versionOf,
  async describe({ params: { number }, values, useCases: { policyDrafts, policyVersions, policyApprovals } }) {
    const [version, onto, approvals] = await Promise.all([
      policyVersions.get(number),
      policyDrafts.inForce(),
      policyApprovals.ofVersion(number),
    ])
    const at = linkTo('versions', String(version.number))
    const diff = onto === undefined ? undefined : await policyVersions.diff(onto, number)
    return {
      title: `Roll back to version ${number}`,
      trail: [VERSIONS_TRAIL, { label: `Version ${number}`, href: at }],
      content: html`${
        policyDrafts.source === 'file'
          ? note('The policy is in the configuration file, and is changed there.', 'warn')
          : whatHappens(onto)
      }${
        diff === undefined ? '' : section({
          id: 'changes',
          title: 'What it changes of the policy in force',
          lead: html`<a href="${link('/admin/versions/diff', { from: onto, to: number })}">Line by line</a>`,
          content: changesTable(diff.changes),
        })
      }${approvalsSection(approvals)}`,
      fields: html`${hidden('onto', onto)}${commonFields(values, `Back to version ${number}`)}${
        applyField(values, false)
      }`,
      button: `Make version ${number} the policy again`,
      back: at,
    }
  },
})
