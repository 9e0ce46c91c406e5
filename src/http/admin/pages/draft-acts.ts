// Forms that begin, save and delete drafts of the policy. The form that saves is the page of a draft: what is wrong in
// the text stands above it.
import Type from 'typebox'
import { patchBetween } from '../../../admin/policy-versions.js'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import type { FormValues } from '../../../core/admin-forms.js'
import {
  draftVersion,
  MOST_DRAFT_MESSAGE,
  MOST_DRAFT_TEXT,
  MOST_DRAFTS,
  type DraftFinding,
  type DraftJudgement,
  type DraftSummary,
  type PolicyDraft,
} from '../../../core/policy-draft.js'
import { versionTag } from '../../../core/version-tag.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { addDraft, changeDraft, removeDraft } from '../api/policy-drafts.js'
import { VersionNumber } from '../api/policy-schemas.js'
import { defineActPage } from './act-page.js'
import { approvalsSection } from './approvals.js'
import { emptyState, facts, idText, nameText, note, section, tag, timeText } from './components.js'
import { findingKey, findingText } from './draft-findings.js'
import { ADD_DRAFT, DRAFTS } from './draft-link.js'
import { DRAFT_PARAMS, draftName, DRAFTS_TRAIL, who } from './drafts-page.js'
import { formField, hidden, linesOf, textArea, textField } from './form-fields.js'
import { link, linkTo } from './links.js'
import { shortened } from './shortened.js'
import { dataTable } from './table.js'
import { patchListing } from './versions-page.js'

/** Of a form: a character may take twelve bytes. */
const MOST_BYTES = 12 * MOST_DRAFT_TEXT + 10_000
const MOST_FINDINGS = 100
/** A longer text is not compared when it is sent: that may take a second. */
const MOST_COMPARED = 200_000
const REBASED = 'yes'
/** Of the drafts of an administrator, those that are offered. */
const MOST_OWN = 5
const Position = Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 }))

const message = Type.Optional(Type.String({ maxLength: MOST_DRAFT_MESSAGE }))

export const addDraftPage = defineActPage({
  act: addDraft,
  path: ADD_DRAFT,
  title: 'Begin a draft',
  params: Type.Object({}),
  fields: { from: Type.Optional(VersionNumber), message, row: Position, rule: Position },
  prefilled: ['from', 'row', 'rule'],
  bodyOf: ({ row: _row, rule: _rule, ...values }) => values,
  done: 'The draft is begun.',
  nextOf(answer, { row, rule }) {
    const draft = linkTo('drafts', (answer as { readonly id: string }).id)
    if (row !== undefined) return `${draft}/rows/${row}`
    return rule === undefined ? draft : `${draft}/rules/${rule}`
  },
  async describe({ values: { from, message: text, row, rule }, actor, useCases }) {
    const place = placeOf(row, rule)
    return {
      title: 'Begin a draft',
      trail: [DRAFTS_TRAIL],
      content: html`<p>It begins with the text of a version. Nothing changes until it is the policy.${
        place === undefined ? '' : ` The form of ${place.name} comes next.`
      }</p>${place === undefined ? '' : await ownDrafts(place, actor, useCases)}`,
      fields: html`${hidden('row', row)}${hidden('rule', rule)}${messageField(text)}${
        place !== undefined ? '' : formField({
          name: 'from',
          label: 'Version',
          kind: 'number',
          hint: 'Empty: the version in force.',
          control: (attributes) => html`<input${attributes} type="number" min="1" value="${from}">`,
        })
      }`,
      button: 'Begin this draft',
      back: place?.back ?? DRAFTS,
    }
  },
})

interface Place {
  /** `row 3` */
  readonly name: string
  readonly section: 'rows' | 'rules'
  /** Counted from 1, in the policy in force. */
  readonly position: number
  readonly back: string
}

function placeOf(row: string | undefined, rule: string | undefined): Place | undefined {
  const [position, section] = row === undefined ? [Number(rule), 'rules' as const] : [Number(row), 'rows' as const]
  if (!Number.isSafeInteger(position) || position < 1) return undefined
  const name = `${section === 'rows' ? 'row' : 'rule'} ${position}`
  return { name, section, position, back: section === 'rows' ? '/admin/mapping' : '/admin/access' }
}

/** In a draft that was begun before, the row or rule may be elsewhere: it is searched there. */
async function ownDrafts(place: Place, { userId }: AdminActor, useCases: AdminUseCases): Promise<Html | string> {
  const { policyDrafts, mapping, access } = useCases
  const [{ rows }, row, rule] = await Promise.all([
    policyDrafts.list({ after: undefined, limit: MOST_DRAFTS }),
    place.section === 'rows' ? mapping.rows({ after: place.position - 1, limit: 1 }) : undefined,
    place.section === 'rules' ? access.rules({ after: place.position - 1, limit: 1 }) : undefined,
  ])
  const [found] = rule?.rows ?? []
  const searched = row?.rows[0]?.entraGroup ?? found?.name ?? found?.hosts?.[0]
  const own = rows.filter(({ author, changedBy }) => [author, changedBy].includes(`admin:${userId}`)).slice(0, MOST_OWN)
  if (own.length === 0) return ''
  return section({
    id: 'own',
    title: 'Drafts of yours',
    lead: `They may have ${place.name} too: go on with one of them, or begin another one below.`,
    content: dataTable<DraftSummary>({
      caption: 'Drafts of yours',
      rows: own,
      columns: [
        {
          heading: 'Draft',
          cell: (draft) =>
            html`<a href="${link(`${linkTo('drafts', draft.id)}/${place.section}`, { q: searched })}">${
              nameText(shortened(draftName(draft)))
            }</a>`,
          kind: 'text',
        },
        { heading: 'Changed', cell: ({ changedAt }) => timeText(changedAt), kind: 'time' },
      ],
      empty: html``,
    }),
  })
}

function messageField(value: string | undefined): Html {
  return textField({
    name: 'message',
    label: 'What it is for',
    value,
    maxLength: MOST_DRAFT_MESSAGE,
    hint: 'Such as: staff for the night shift.',
    optional: true,
  })
}

export const draftPage = defineActPage({
  act: changeDraft,
  path: `${DRAFTS}/:id`,
  title: 'Draft',
  params: DRAFT_PARAMS,
  fields: {
    text: Type.Optional(Type.String({ maxLength: 2 * MOST_DRAFT_TEXT })), // a line end is two characters
    message,
    rebased: Type.Optional(Type.Literal(REBASED)),
    inForce: Type.Optional(VersionNumber),
  },
  mostBytes: MOST_BYTES,
  bodyOf: ({ text = '', message = '', rebased, inForce }) => ({
    text: linesOf(text),
    message,
    ...rebased === REBASED && inForce !== undefined ? { base: inForce } : {},
  }),
  done: 'The draft is saved.',
  async describe({ params: { id }, values, useCases: { policyDrafts: drafts, policyApprovals } }) {
    const [draft, inForce, approvals] = await Promise.all([
      drafts.get(id),
      drafts.inForce(),
      policyApprovals.ofDraft(id),
    ])
    const judgement = await drafts.judge(draft.text)
    const at = linkTo('drafts', id)
    return {
      title: shortened(draftName(draft)),
      trail: [DRAFTS_TRAIL],
      content: html`${links(at, drafts.source)}${factsOf(draft)}${approvalsSection(approvals)}${
        findings(judgement, at)
      }${notSaved(draft, values)}`,
      fields: html`${messageField(values['message'] ?? draft.message)}${
        textArea({
          name: 'text',
          label: 'Policy (YAML)',
          value: linesOf(values['text'] ?? draft.text),
          maxLength: MOST_DRAFT_TEXT,
          rows: 24,
          isCode: true,
          optional: true,
        })
      }${draft.isStale && inForce !== undefined ? rebaseField(inForce) : ''}`,
      button: 'Save and check',
      back: DRAFTS,
      next: at,
      version: versionTag(draftVersion(draft)),
    }
  },
})

function links(at: string, source: 'file' | 'database'): Html {
  const to = (path: string, text: string, attributes: Html | string = '') =>
    html`<li><a class="button" href="${at}/${path}"${attributes}>${text}</a></li>
`
  return html`<ul class="acts">${to('rows', 'Rows of the mapping')}${to('rules', 'Access rules')}${
    to('preview', 'Preview gains and losses')
  }${to('changes', 'What it changes')}${
    source === 'database' ? html`${to('approve', 'Approve the draft')}${to('deploy', 'Deploy the draft')}` : ''
  }${to('policy.yaml', 'Download policy.yaml', html` download hx-boost="false"`)}${
    to('policy.patch', 'Download the patch', html` download hx-boost="false"`)
  }${to('remove', 'Delete the draft')}</ul>`
}

function factsOf(draft: PolicyDraft & { readonly isStale: boolean }): Html {
  const { id, base, isStale, author, authorName, createdAt, changedBy, changedByName, changedAt } = draft
  const version = html`<a href="${linkTo('versions', String(base))}">version ${base}</a>`
  const stale = html` ${tag('not in force', 'warn')} <a href="${linkTo('drafts', id)}/changes">What differs from what
runs</a>`
  return facts([
    ['Begun from', html`${version}${isStale ? stale : ''}`],
    ['Begun', html`${timeText(createdAt)} by ${who(author, authorName)}`],
    ['Saved', html`${timeText(changedAt)} by ${who(changedBy, changedByName)}`],
    ['Id', idText(id)],
  ])
}

function findings({ problems, warnings, policy }: DraftJudgement, at: string): Html {
  const found = [...problems, ...warnings]
  const more = found.length - MOST_FINDINGS
  const state = policy === undefined
    ? html`${tag('cannot be used', 'bad')} ${found.length} ${
      found.length === 1 ? 'problem' : 'problems'
    } as it is saved.`
    : html`${tag('can be used', 'good')} As it is saved.`
  const table = dataTable<DraftFinding>({
    caption: 'Findings',
    rows: found.slice(0, MOST_FINDINGS),
    columns: [
      { heading: 'Line', cell: ({ line }) => line, kind: 'number' },
      { heading: 'Key', cell: (finding) => findingKey(finding, at) },
      { heading: 'Finding', cell: findingText, kind: 'text' },
    ],
    empty: emptyState({ title: 'Nothing was found.', next: 'Preview who would gain and lose what.' }),
  })
  return section({
    id: 'findings',
    title: 'Findings of check',
    lead: state,
    content: html`${table}${more > 0 ? html`<p class="soft">And ${more} more.</p>` : ''}`,
  })
}

/** Where the form is shown again: another administrator may have saved meanwhile. */
function notSaved({ text }: PolicyDraft, values: FormValues): Html | string {
  const sent = values['text'] === undefined ? undefined : linesOf(values['text'])
  if (sent === undefined || sent === text || sent.length + text.length > MOST_COMPARED) return ''
  const patch = patchBetween({ name: 'the draft as it is saved', text }, { name: 'your text', text: sent })
  return section({
    id: 'not-saved',
    title: 'Your text is not saved',
    lead: 'What it changes of the draft as it is saved now:',
    content: patchListing(patch),
  })
}

function rebaseField(inForce: number): Html {
  return html`<input type="hidden" name="inForce" value="${inForce}"><label class="choice"><input type="checkbox"
name="rebased" value="${REBASED}"><span>The changes of version ${inForce} are in this text: compare it with this version
from now on.</span></label>
`
}

export const removeDraftPage = defineActPage({
  act: removeDraft,
  path: `${DRAFTS}/:id/remove`,
  title: 'Delete a draft',
  params: DRAFT_PARAMS,
  done: 'The draft is deleted.',
  async describe({ params: { id }, useCases }) {
    const draft = await useCases.policyDrafts.get(id)
    const name = shortened(draftName(draft))
    return {
      title: `Delete the draft ${name}`,
      trail: [DRAFTS_TRAIL, { label: name, href: linkTo('drafts', id) }],
      content: html`${note('Its text cannot be brought back.', 'warn')}${factsOf(draft)}`,
      button: `Delete the draft ${name}`,
      back: linkTo('drafts', id),
      next: DRAFTS,
      version: versionTag(draftVersion(draft)),
    }
  },
})
