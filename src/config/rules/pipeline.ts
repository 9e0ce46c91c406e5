// The order of the steps: any in which each finds what it builds on (core/pipeline/index.ts), with the mapping last.
import { DISPENSABLE, ORDER, STEPS, type StepName } from '../../core/pipeline/index.js'
import { entries, type Rule } from './rule.js'

const LAST = 'azuread_map_groups'

export const stepsOnce: Rule = ({ pipeline }, report) => {
  const first = new Map<string, string>()
  for (const { item, path } of entries(pipeline, 'pipeline')) {
    const earlier = first.get(item)
    if (earlier === undefined) first.set(item, path)
    else {
      report.problem(
        path,
        'step_repeated',
        `${path} ${item} is in the pipeline already, as ${earlier}.`,
        'A step runs once: keep one of the two.',
      )
    }
  }
}

export const mappingIsLast: Rule = ({ pipeline }, report) => {
  if (!pipeline || !report.given('pipeline')) return
  const index = pipeline.lastIndexOf(LAST)
  if (index === -1) {
    report.problem(
      'pipeline',
      'mapping_step_missing',
      `The pipeline lacks ${LAST}.`,
      `Add ${LAST} at its end: without it no user's groups and flags ever follow Entra ID.`,
      report.keyPositionOf('pipeline'),
    )
  } else if (index < pipeline.length - 1) { // guard: mapping-last
    report.problem(
      `pipeline[${index}]`,
      'mapping_step_not_last',
      `${LAST} is not the last step of the pipeline.`,
      'Move it to the end: it completes the login in one transaction, so what a later step adds would be lost or ' +
        'left half done.',
    )
  }
}

export const stepsComplete: Rule = ({ pipeline }, report) => {
  if (!pipeline || !report.given('pipeline') || pipeline.includes(undefined)) return
  const missing = (Object.keys(STEPS) as StepName[]).filter((step) =>
    step !== LAST && !pipeline.includes(step) && !DISPENSABLE.includes(step)
  )
  if (missing.length > 0) {
    report.problem(
      'pipeline',
      'step_missing',
      `The pipeline lacks ${missing.join(', ')}.`,
      'Add what is missing: a login is not complete without it. Leave the key away for the default order.',
      report.keyPositionOf('pipeline'),
    )
  }
}

export const stepsInOrder: Rule = ({ pipeline }, report) => {
  for (const { item, path } of entries(pipeline, 'pipeline')) {
    const late = ORDER[item as StepName]?.filter((needed) =>
      (pipeline?.indexOf(needed) ?? -1) > (pipeline?.indexOf(item) ?? 0)
    ) ?? []
    if (late.length > 0) {
      report.problem(
        path,
        'step_order',
        `${path} ${item} stands before ${late.join(' and ')}, which it builds on.`,
        `Move ${item} behind ${late.join(' and ')}.`,
      )
    }
  }
}

export const authAllowedRuns: Rule = ({ authAllowed, pipeline }, report) => {
  const restricts = authAllowed?.guests === false || (authAllowed?.emailDomains?.length ?? 0) > 0
  if (restricts && pipeline && !pipeline.includes('auth_allowed')) { // guard: gate-wants-its-step
    report.problem(
      'authAllowed',
      'auth_allowed_missing',
      'authAllowed restricts who may sign in, but the pipeline lacks the step auth_allowed, so it would do nothing.',
      'Put auth_allowed into the pipeline, behind social_details.',
      report.keyPositionOf('authAllowed'),
    )
  }
}
