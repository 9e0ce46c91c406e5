// Where the policy may be: in the configuration file, or deployed in the database, and never in both.
import { POLICY_KEYS } from '../policy-text.js'
import { entries, type Rule } from './rule.js'

/** Of the configuration file alone. */
export const policyInOnePlace: Rule = ({ policy }, report) => {
  if (policy?.source !== 'database') return
  for (const key of POLICY_KEYS.filter((each) => report.given(each))) { // guard: policy-in-one-place
    report.problem(
      key,
      'policy_in_two_places',
      `${key} is a part of the policy, which is in the database.`,
      'Take it out of this file and deploy it: gatehouse policy deploy FILE. Or set policy.source to file.',
      report.keyPositionOf(key),
    )
  }
}

/** Of the configuration file alone: a step runs only as it was when its SHA-256 was written down. */
export const stepsAsListed: Rule = ({ policy, ownSteps, customSteps }, report) => {
  if (policy?.source === 'file' && report.given('ownSteps')) {
    report.warn(
      'ownSteps',
      'steps_unused',
      'ownSteps has no effect while policy.source is file.',
      'Name the steps in pipeline, or set policy.source to database.',
    )
  }
  for (const { item: { file, sha256 }, path } of entries(ownSteps, 'ownSteps')) {
    const read = customSteps?.find((step) => step?.name === file)
    if (sha256 === undefined || read?.sha256 === undefined || read.sha256 === sha256) continue // guard: policy-step-sha
    report.problem(
      `${path}.sha256`,
      'step_changed',
      `${path}.sha256 is not that of ${file ?? 'the file'}, which is ${read.sha256}.`,
      'Read the file, then write this value here.',
    )
  }
}

/** Of a policy that is deployed in the database: what holds where no rule matches is written. */
export const policyStandsAlone: Rule = (_draft, report) => {
  if (!report.given('access.default')) { // guard: policy-default-written
    report.problem(
      'access',
      'access_default_missing',
      'access.default is not written.',
      'Say what holds where no rule matches: default: deny, or default: authenticated.',
    )
  }
}
