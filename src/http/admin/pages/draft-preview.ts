// The preview of a draft of the policy: forms that make it, how far it is, and what was found (preview-result.ts).
// Without JavaScript the page is loaded again by a link.
import Type from 'typebox'
import { FAILURES, GatehouseError, type ErrorCode } from '../../../core/errors.js'
import type { DraftPreviews, PolicyPreview } from '../../../core/policy-preview.js'
import type { LiveCost } from '../../../admin/policy-preview.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { emptyState, nameText, note, timeText } from './components.js'
import { DRAFTS } from './draft-link.js'
import { DRAFT_PARAMS, draftName, DRAFTS_TRAIL } from './drafts-page.js'
import { link, linkTo } from './links.js'
import { defineAdminPage, type PageContent, type PageRequest } from './page.js'
import { resultOf } from './preview-result.js'
import { shortened } from './shortened.js'

const LIVE = 'live'
/** The part of the page that is loaded again and again. */
const PROGRESS = 'preview-progress'
const MINUTE_MS = 60_000

const described = {
  path: `${DRAFTS}/:id/preview`,
  permission: 'gatehouse.policy',
  title: 'Preview',
  params: DRAFT_PARAMS,
  query: Type.Object({ running: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 })) }),
} as const

type Request = PageRequest<{ readonly running?: number }, { readonly id: string }>

export const draftPreviewPage = defineAdminPage({ ...described, render: (request) => content(request) })

/** The answer to the forms. */
export const draftPreviewRun = defineAdminPage({
  ...described,
  async render(request) {
    const { useCases, params: { id }, actor, request: { body } } = request
    const isLive = (body as { readonly of?: unknown }).of === LIVE
    try {
      await useCases.policyPreview.start(id, isLive ? { actor: `admin:${actor.userId}` } : undefined)
      return await content(request)
    } catch (error) {
      if (error instanceof GatehouseError && NOT_NOW.has(error.code)) return await content(request, error)
      throw error
    }
  },
})

/** Errors that say why none is begun now. */
const NOT_NOW: ReadonlySet<ErrorCode> = new Set(['live_preview_busy', 'graph_throttled', 'rate_limited'])

/** @param refused why none was begun */
async function content(request: Request, refused?: GatehouseError): Promise<PageContent> {
  const { params: { id }, useCases } = request
  const draft = await useCases.policyDrafts.get(id)
  const name = shortened(draftName(draft))
  const at = linkTo('drafts', id)
  const { policy } = await useCases.policyDrafts.judge(draft.text)
  return {
    title: `Preview of ${name}`,
    trail: [DRAFTS_TRAIL, { label: name, href: at }],
    lead:
      'Who would gain and lose which groups and flags by groupMapping, of all active users, and which requests of ' +
      'the last day would be decided otherwise.',
    content: html`<div id="preview">${
      refused === undefined ? '' : note(nameText(shortened(refused.sentence, 400)), 'warn')
    }${policy === undefined ? unusable(at) : await previewsOf(request, `${at}/preview`)}</div>`,
    ...refused === undefined ? {} : { status: refused.status },
  }
}

function unusable(at: string): Html {
  return html`${note('The draft cannot be used as the policy yet.', 'warn')}<p><a href="${at}#findings">What is wrong
with it</a></p>`
}

async function previewsOf({ params: { id }, query, useCases, actor }: Request, path: string): Promise<Html> {
  const [previews, last, cost] = await Promise.all([
    useCases.policyPreview.ofDraft(id),
    useCases.policyPreview.last(id),
    useCases.policyPreview.liveCost(),
  ])
  const { stored, live } = previews
  const isFirst = stored === undefined && live === undefined
  return html`${progress(previews, path, query.running ?? 0)}${forms(previews, path, actor, cost)}${
    [live, stored].map((each) => failure(each))
  }${last?.result ? resultOf(last.result) : ''}${
    isFirst
      ? emptyState({ title: 'There is no preview of the draft as it is now.', next: 'Make it with a button.' })
      : ''
  }`
}

/** One button for each kind that is not under way. */
function forms({ stored, live }: DraftPreviews, path: string, { csrfToken }: AdminActor, cost: LiveCost): Html {
  const form = (button: string, id: string, of: string): Html =>
    html`<li><form method="post" action="${path}"><input type="hidden" name="_csrf" value="${csrfToken}"><input
type="hidden" name="of" value="${of}"><button class="button" id="${id}">${button}</button></form></li>
`
  const again = stored?.state === 'done' ? 'Make the preview again' : 'Make the preview'
  const isLiveOffered = live?.state !== 'running'
  return html`<ul class="acts">${stored?.state === 'running' ? '' : form(again, 'make-preview', 'stored')}${
    isLiveOffered ? form('Preview with fresh readings from Graph', 'make-live-preview', LIVE) : ''
  }</ul>${isLiveOffered ? costText(cost) : ''}`
}

function costText({ users, durationMs }: LiveCost): Html {
  const minutes = Math.ceil(durationMs / MINUTE_MS)
  const time = minutes <= 1 ? 'up to a minute' : `roughly ${minutes} minutes`
  return html`<p class="soft">Fresh readings: asks Microsoft Graph about ${users} users, which takes ${time}. It gives
way to sign-ins, ends as soon as Graph asks to wait, and changes nobody's rights. One runs in the installation at a
time.</p>`
}

/** @param seen how many were under way when this part of the page was loaded */
function progress({ stored, live }: DraftPreviews, path: string, seen: number): Html {
  const running = [live, stored].flatMap((each) => each?.state === 'running' ? [each] : [])
  // One has ended meanwhile: the rest of the page is loaded, once.
  const rest = seen > running.length
    ? html`<div hx-get="${path}" hx-trigger="load" hx-select="#preview" hx-target="#preview" hx-swap="outerHTML"></div>`
    : ''
  if (running.length === 0) return html`${rest === '' ? '' : html`<div id="${PROGRESS}">${rest}</div>`}`
  const again = link(path, { running: running.length })
  return html`<div id="${PROGRESS}">${running.map(bar)}${rest}<p><a class="button" href="${path}" hx-get="${again}"
hx-trigger="click, every 2s" hx-select="#${PROGRESS}" hx-target="#${PROGRESS}" hx-swap="outerHTML">Look again</a></p>
</div>`
}

function bar({ live, done, total, startedAt }: PolicyPreview): Html {
  const most = Math.max(done, total, 1)
  const id = live ? 'live-progress' : 'progress'
  return html`<p><label for="${id}">${live ? 'Users read from Graph' : 'Users read'}</label> <progress id="${id}"
max="${most}" value="${done}">${done}</progress> ${done} of about ${most}, since ${timeText(startedAt)}</p>
`
}

/** Why one has failed, and what to do about it. */
function failure(preview: PolicyPreview | undefined): Html | string {
  if (preview?.state !== 'failed' || preview.code === null) return ''
  const { live, code, until } = preview
  const sentence = code in FAILURES ? FAILURES[code as ErrorCode].sentence : ''
  const what = live ? 'The preview with fresh readings has failed' : 'The preview has failed'
  return note(
    html`${what}: ${until === null ? sentence : html`Microsoft Graph asked to wait until ${timeText(until)}.`}
<code>${code}</code> Nothing was changed.${live ? html` ${remedy(code)}` : ''}`,
    'bad',
  )
}

function remedy(code: string): Html {
  if (code === 'graph_throttled') {
    return html`It is not begun again by itself: begin it later, or make the preview without Graph.`
  }
  if (code === 'graph_forbidden') {
    return html`Grant the application permissions <code>User.Read.All</code> and <code>GroupMember.Read.All</code> with
admin consent.`
  }
  if (!/^(?:entra|graph)_/.test(code)) return html`Begin it again.`
  return html`<a href="/admin/system/doctor">Doctor</a> says what is wrong between Gatehouse and Microsoft. Meanwhile,
make the preview without Graph.`
}
