// The order of the steps: what it may be at all. Which orders are there yet is in not-yet.ts.
import { entries, type Rule } from './rule.js'

const LAST = 'azuread_map_groups'

export const stepsOnce: Rule = ({ pipeline }, report) => {
  const first = new Map<string, string>()
  for (const { item, path } of entries(pipeline, 'pipeline')) {
    const earlier = first.get(item)
    if (earlier === undefined) first.set(item, path)
    else report.problem(path, 'step_repeated', `${path} ${item} is in the pipeline already, as ${earlier}.`, 'A step runs once: keep one of the two.')
  }
}

export const mappingIsLast: Rule = ({ pipeline }, report) => {
  if (!pipeline || !report.given('pipeline')) return
  const index = pipeline.lastIndexOf(LAST)
  if (index === -1) report.problem('pipeline', 'mapping_step_missing', `The pipeline lacks ${LAST}.`, `Add ${LAST} at its end: without it nobody's groups and flags would ever follow Entra ID.`, report.keyPlaceOf('pipeline'))
  else if (index < pipeline.length - 1) report.problem(`pipeline[${index}]`, 'mapping_step_not_last', `${LAST} is not the last step of the pipeline.`, 'Move it to the end: it completes the login in one transaction, so what a later step adds would be lost or left half done.')
}
