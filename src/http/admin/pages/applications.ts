// How far a version of the policy is applied to everybody with an active session, on the page of the version, and the
// form that asks for it.
import Type from 'typebox'
import type { PolicyApplication } from '../../../core/policy-application.js'
import { html, type Html } from '../../pages/html.js'
import { applyVersion } from '../api/policy-applications.js'
import { VersionNumber } from '../api/policy-schemas.js'
import { defineActPage } from './act-page.js'
import { emptyState, facts, nameText, note, section, tag, timeText } from './components.js'
import { VERSIONS_TRAIL } from './draft-link.js'
import { linkTo } from './links.js'
import { shortened } from './shortened.js'

/** @param isInForce it is the one in force, where the policy is in the database */
export function applicationSection(
  number: number,
  application: PolicyApplication | undefined,
  isInForce: boolean,
): Html | string {
  if (application === undefined && !isInForce) return ''
  return html`<div id="applied">${
    section({
      id: 'application',
      title: 'Rights without a sign-in',
      content: application === undefined
        ? emptyState({
          title: 'This version was not applied to those who are signed in.',
          next: 'Each of them has its rights from the next sign-in or re-evaluation on.',
        })
        : html`${stateOf(application, linkTo('versions', String(number)))}${factsOf(application)}`,
    })
  }</div>
`
}

function stateOf({ state, pass, done, total, failed, runner }: PolicyApplication, path: string): Html {
  if (state === 'replaced') {
    return html`<p>${tag('replaced', 'warn')} Another version came into force before its end.</p>`
  }
  if (state === 'done') {
    return failed === 0
      ? html`<p>${tag('done', 'good')}</p>`
      : note(`${failed} ${failed === 1 ? 'user' : 'users'} could not be mapped: apply the version again.`, 'bad')
  }
  const most = Math.max(done, total, 1)
  const what = pass === 'losses' ? 'First pass, who loses something' : 'Second pass, everybody'
  return html`<p><label for="progress">${what}</label> <progress id="progress" max="${most}" value="${done}">${done}
</progress> ${done} of about ${most} users${
    runner === null ? html` <span class="soft">${nextOf(pass, done)}</span>` : ''
  }</p>
<p><a class="button" href="${path}" hx-get="${path}" hx-trigger="click, every 2s" hx-select="#applied"
hx-target="#applied" hx-swap="outerHTML">Look again</a></p>`
}

/** Where no process does it at this moment. */
function nextOf(pass: PolicyApplication['pass'], done: number): string {
  return pass === 'losses' && done === 0
    ? 'a replica begins within five seconds'
    : 'a replica goes on within half a minute'
}

function factsOf({ gains, losses, tooOld, actor, runner, startedAt, endedAt }: PolicyApplication): Html {
  return facts([
    ['Gained a right', gains],
    ['Lost a right', losses],
    ['Old snapshots', tooOld === 0 ? undefined : html`${tooOld}: these only take away`],
    ['Asked for', html`${timeText(startedAt)} by ${nameText(shortened(actor))}`],
    ['Done by', runner === null ? undefined : nameText(shortened(runner))],
    ['Ended', endedAt === null ? undefined : timeText(endedAt)],
  ])
}

export const applyVersionPage = defineActPage({
  act: applyVersion,
  path: '/admin/versions/:number/apply',
  title: 'Apply a version',
  params: Type.Object({ number: VersionNumber }),
  done: 'A replica applies it within five seconds.',
  async describe({ params: { number }, useCases: { policyDrafts, policyVersions } }) {
    const [version, inForce] = await Promise.all([policyVersions.get(number), policyDrafts.inForce()])
    const at = linkTo('versions', String(version.number))
    const problem = problemOf(number, policyDrafts.source, inForce)
    return {
      title: `Apply version ${number} now`,
      trail: [VERSIONS_TRAIL, { label: `Version ${number}`, href: at }],
      content: html`${problem === undefined ? '' : note(problem, 'warn')}<p>Everybody who is signed in has the rights of
this version within a moment, by the last snapshot of their groups, those who lose something first. No one is signed out
by it, except where the policy lets in none of their groups.</p>`,
      button: `Apply version ${number} to everybody who is signed in`,
      back: at,
      next: at,
    }
  },
})

function problemOf(number: number, source: 'file' | 'database', inForce: number | undefined): string | undefined {
  if (source === 'file') return 'The policy is in the configuration file: nothing is deployed there.'
  return inForce === number ? undefined : `Version ${number} is not in force.`
}
