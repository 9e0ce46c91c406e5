// SOCIAL_AUTH_PIPELINE: a step is identified by the last part of its dotted path, in whichever package it is. The
// default order is printed; this file finds out how NetBox's order differs from it.
import { DEFAULT_PIPELINE } from '../config/schema.js'
import { describe } from './netbox-mapping.js'
import type { Value } from './python-values.js'
import { shown, type ImportReport } from './report.js'

const PATH = 'SOCIAL_AUTH_PIPELINE'

/** @returns the differences, as sentences */
export function readPipeline(value: Value, report: ImportReport): string[] {
  if (value.content.is !== 'list') {
    report.warn(
      value.at,
      PATH,
      'not_a_list',
      `${PATH} is not read: ${describe(value)}.`,
      'The default pipeline is printed; compare it with yours.',
    )
    return ['the order of NetBox could not be read']
  }
  const { known, differs } = readSteps(value.content.items, report)
  differs.push(...DEFAULT_PIPELINE.filter((step) => !known.includes(step)).map((step) => `${step} was not there`))
  const expected = DEFAULT_PIPELINE.filter((step) => known.includes(step))
  if (known.join() !== expected.join()) differs.push(`the order was ${known.join(', ')}`)
  if (known.includes('associate_by_email')) {
    report.warn(
      value.at,
      PATH,
      'associate_by_email',
      'associate_by_email links no user here unless associateByEmail: true enables it.',
      'Users are identified by tenant and object ID, not by an e-mail address that another person may have set.',
    )
  }
  if (differs.length > 0) {
    report.warn(
      value.at,
      PATH,
      'pipeline_differs',
      `The default pipeline is printed, and NetBox's was another: ${differs.join('; ')}.`,
      'The order may be changed here too (pipeline); check whether the difference matters to you.',
    )
  }
  return differs
}

/** @returns the steps that Gatehouse has, in the order of NetBox, and what is different about the others */
function readSteps(items: readonly Value[], report: ImportReport): { known: string[], differs: string[] } {
  const known: string[] = []
  const differs: string[] = []
  for (const item of items) {
    const step = item.content.is === 'text' ? item.content.text.split('.').at(-1) ?? '' : ''
    if (known.includes(step)) differs.push(`${step} was there twice`)
    else if (DEFAULT_PIPELINE.includes(step)) known.push(step)
    else {
      const what = item.content.is === 'text' ? shown(item.content.text) : describe(item)
      report.warn(
        item.at,
        PATH,
        'step_unknown',
        `This step has no counterpart and is left out: ${what}.`,
        'Find out what it does in the login, and whether you still need it.',
      )
      differs.push(`left out: ${what}`)
    }
  }
  return { known, differs }
}
