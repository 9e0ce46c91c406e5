// What the pages System and Overview show alike: states, parts that do not answer, and what is to be done.
import type { Health, Todo } from '../../../admin/health.js'
import { exportProblems, isCatchingUp, pendingText } from '../../../core/audit-export.js'
import { isSealOverdue } from '../../../core/audit-seals.js'
import type { Part, Reach } from '../../../core/health.js'
import { html, type Html, type Value } from '../../pages/html.js'
import { emptyState, idText, nameText, note, tag, timeText } from './components.js'
import { shortened } from './shortened.js'

/** The content, or that the part does not answer. */
export function partText<T>(part: Part<T>, content: (value: T) => Html): Html {
  if (part.state === 'read') return content(part.value)
  const why = part.code === 'timeout'
    ? 'It did not answer within a second.'
    : html`Its code is <code>${part.code}</code>.`
  return note(html`This cannot be read now. ${why} <code>gatehouse doctor</code> says more.`, 'warn')
}

export function reachText({ state, since, lastSuccessAt }: Reach): Html {
  if (state === 'unknown') return html`${tag('no request yet')}`
  const last = lastSuccessAt === null ? '' : html`, last good answer ${timeText(lastSuccessAt)}`
  return state === 'ok'
    ? html`${tag('answers', 'good')} since ${timeText(since)}${last}`
    : html`${tag('does not answer', 'bad')} since ${timeText(since)}${last}`
}

export function syncText({ sync }: Pick<Health, 'sync'>): Value {
  const { isConfigured, isLeader, failing, lagSeconds, lastRun } = sync
  if (!isConfigured) return html`${tag('off')} users are read again at their next sign-in`
  const state = failing === null ? tag('works', 'good') : html`${tag('fails', 'bad')} <code>${failing}</code>`
  const who = isLeader ? '' : '; another replica does it'
  return html`${state} oldest snapshot ${durationText(lagSeconds)} old${lastRun === null ? who : lastRunText(lastRun)}`
}

function lastRunText({ at, processed, failed }: NonNullable<Health['sync']['lastRun']>): Html {
  return html`; last run ${timeText(at)}: ${processed} users re-evaluated, ${failed} failed`
}

export function databaseText({ database, servers }: Pick<Health, 'database' | 'servers'>): Html {
  const kind = servers.isEmbedded ? 'embedded' : 'given'
  if (database.state === 'unreachable') return html`${tag('does not answer', 'bad')} ${kind}`
  const { version, standbys } = database.value
  const copies = standbys.length === 0
    ? ''
    : html`, ${standbys.length} ${standbys.length === 1 ? 'standby' : 'standbys'}`
  return html`${tag('answers', 'good')} PostgreSQL ${version}, ${kind}${copies}`
}

export function sealsText({ seals }: Pick<Health, 'seals'>): Html {
  if (seals.state === 'unreachable') return tag('not known', 'warn')
  const state = isSealOverdue(seals.value) ? tag('overdue', 'warn') : ''
  const { newest } = seals.value
  if (newest === null) return html`${state} none yet`
  const { number, at, rows, hash } = newest
  return html`${state} seal ${number} of ${timeText(at)}, ${rows} ${rows === 1 ? 'row' : 'rows'}, ${idText(hash)}`
}

export function exportText({ auditExport }: Pick<Health, 'auditExport'>): Value {
  if (auditExport.state === 'unreachable') return tag('not known', 'warn')
  const { value } = auditExport
  if (!value.isConfigured) return html`${tag('off')} events stay in the database`
  const until = value.deliveredUntil === null
    ? 'nothing delivered yet'
    : html`delivered up to ${timeText(value.deliveredUntil)}`
  const problem = exportProblems(value).length > 0
    ? tag('late', 'warn')
    : tag(isCatchingUp(value) ? 'catching up' : 'works', 'good')
  const { failing } = value
  const state = failing === null ? problem : html`${tag('fails', 'warn')} <code>${failing.cause}</code>`
  return html`${state} ${until}, ${pendingText(value)}${
    failing === null
      ? ''
      : html`; ${failing.events} from event <code>${failing.firstId ?? '?'}</code> on failed, next attempt ${
        timeText(failing.retryAt)
      }`
  }`
}

export function credentialText({ entra }: Pick<Health, 'entra'>): Value {
  const { credential, credentialEndsAt } = entra
  if (credential === 'federated') return 'federated: the platform replaces it'
  const name = credential === 'certificate' ? 'certificate' : 'client secret'
  return credentialEndsAt === null
    ? html`${name}, <span class="soft">its last day is not known: Gatehouse may not read its registration</span>`
    : html`${name}, valid until ${timeText(credentialEndsAt)}`
}

/** A configuration of many rules may have hundreds of findings: a page shows the most urgent ones. */
const MOST_TODO = 10
const MOST_MESSAGE = 400

export function todoList(todo: readonly Todo[]): Html {
  if (todo.length === 0) {
    return emptyState({
      title: 'Nothing to do.',
      next: html`<code>gatehouse doctor</code> checks more, with requests to Entra ID.`,
    })
  }
  const more = todo.length - MOST_TODO
  return html`<ul class="todo">${
    todo.slice(0, MOST_TODO).map(({ urgency, message, remedy, code }) =>
      html`<li>${tag(urgency === 'bad' ? 'now' : 'soon', urgency)}<div>${nameText(shortened(message, MOST_MESSAGE))}${
        remedy === null ? '' : html`<span class="soft">${nameText(shortened(remedy, MOST_MESSAGE))}</span>`
      }<code class="id">${code}</code></div></li>
`
    )
  }</ul>${
    more > 0
      ? html`<p>And ${more} more: <code>gatehouse check</code> lists every finding of the configuration.</p>`
      : ''
  }`
}

export function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`
}

export function replicasLine({ replicas }: Pick<Health, 'replicas'>, silentAfter: number): Html {
  if (replicas.state === 'unreachable') return html`${tag('not known', 'warn')}`
  const alive = replicas.value.filter(({ silentSeconds }) => silentSeconds < silentAfter)
  const same = alive.filter(({ isSameConfig }) => isSameConfig).length
  const state = same === alive.length ? tag('equal', 'good') : tag('different', 'warn')
  return html`${state} ${same} of ${alive.length} ${alive.length === 1 ? 'replica runs' : 'replicas run'} the same
configuration`
}
