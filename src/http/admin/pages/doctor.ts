// The checks of the command `doctor`: a form that runs them, and the result. Without JavaScript the answer to the form
// is this page too.
import type { Diagnosis } from '../../../admin/doctor.js'
import type { DiagnosisResult } from '../../../core/diagnosis.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { emptyState, nameText, section, tag, timeText, type Tone } from './components.js'
import { defineAdminPage, type PageContent } from './page.js'
import { dataTable } from './table.js'

const PATH = '/admin/system/doctor'
const PERMISSION = 'gatehouse.policy'

const described = { path: PATH, permission: PERMISSION, title: 'Doctor' } as const

export const doctorPage = defineAdminPage({
  ...described,
  render: ({ useCases, actor }) => content(useCases.doctor.last(), actor),
})

/** The answer to the form. */
export const doctorRun = defineAdminPage({
  ...described,
  render: async ({ useCases, actor }) => content(await useCases.doctor.run(), actor),
})

/** On the page System: for those who may run the checks. */
export function doctorSection(actor: AdminActor): Html {
  if (!actor.permissions.has(PERMISSION)) return html``
  return section({ id: 'doctor', title: 'Doctor', lead: LEAD, content: form(actor) })
}

const LEAD = 'Checks everything that a sign-in needs, with requests to Entra ID, Graph and the database. ' +
  'It takes up to a minute, and changes nothing.'

function form({ csrfToken }: AdminActor): Html {
  return html`<form method="post" action="${PATH}"><input type="hidden" name="_csrf" value="${csrfToken}">
<button class="button" id="run-doctor">Run the checks</button></form>`
}

function content(diagnosis: Diagnosis | undefined, actor: AdminActor): PageContent {
  return {
    title: 'Doctor',
    trail: [{ label: 'System', href: '/admin/system' }],
    lead: LEAD,
    content: html`${form(actor)}
${
      diagnosis === undefined
        ? emptyState({ title: 'The replica that answers has not run the checks.', next: 'Run them with the button.' })
        : section({ id: 'results', title: 'Results', lead: summary(diagnosis), content: table(diagnosis.results) })
    }`,
  }
}

function summary({ at, healthy, results }: Diagnosis): Html {
  const count = (wanted: DiagnosisResult['state']) => results.filter(({ state }) => state === wanted).length
  return html`${healthy ? tag('nothing failed', 'good') : tag(`${count('fail')} failed`, 'bad')} ${count('ok')} ok, ${
    count('warn')
  } to look at, ${count('skipped')} not checked; ended ${timeText(at)}.`
}

const STATES: Readonly<Record<DiagnosisResult['state'], readonly [text: string, tone: Tone]>> = {
  ok: ['ok', 'good'],
  warn: ['to look at', 'warn'],
  fail: ['failed', 'bad'],
  skipped: ['not checked', 'plain'],
}

function table(results: readonly DiagnosisResult[]): Html {
  return dataTable({
    caption: 'Results',
    columns: [
      { heading: 'Check', cell: ({ check }: DiagnosisResult) => check },
      { heading: 'State', cell: ({ state }) => tag(...STATES[state]) },
      {
        heading: 'Found',
        cell: ({ state, message, remedy, code }) =>
          html`${nameText(message)} ${
            remedy === undefined || state === 'ok' ? '' : html`<span class="soft">${nameText(remedy)}</span> `
          }<code class="id">${code}</code>`,
      },
    ],
    rows: results,
    empty: html``,
  })
}
