// Names: groups, permissions, steps, plain text, paths of files.
import { OPTIONAL_STEPS, STEPS } from '../../core/pipeline/index.js'
import { nearest } from '../nearest.js'
import { valueProblem } from '../problem.js'
import type { Kind } from './kind.js'

const MAX_GROUP_NAME = 150

export const text: Kind = {
  title: 'text',
  read: (value) =>
    /[\p{Cc}\p{Cs}]/u.test(value)
      ? valueProblem('text_control', 'has a control character', 'Write it on one line, with visible characters.')
      : { value },
}

export const groupName: Kind = {
  title: 'name of a local group',
  read(value, { shown }) {
    if (/\p{C}/u.test(value)) { // guard: no-control-characters
      return valueProblem(
        'group_name_control',
        'has a control or invisible character',
        'Use visible characters: the name travels in a header.',
      )
    }
    if (value.trim() !== value) { // guard: names-not-trimmed
      return valueProblem(
        'group_name_spaces',
        `begins or ends with a space: ${shown}`,
        "Names are compared exactly; take the space away here, and in the group's name if it is there.",
      )
    }
    if (value.length > MAX_GROUP_NAME) { // guard: exact-names
      return valueProblem(
        'group_name_long',
        `has more than ${MAX_GROUP_NAME} characters`,
        'Give the group a shorter name.',
      )
    }
    return { value }
  },
}

const MAX_RULE_NAME = 80

export const ruleName: Kind = {
  title: 'name of an access rule',
  read(value, { shown }) {
    if (/\p{C}|[\p{Zl}\p{Zp}]/u.test(value) || value.trim() !== value) { // guard: policy-rule-name-visible
      return valueProblem(
        'rule_name_invisible',
        `has an invisible character, or a space at its beginning or end: ${shown}`,
        'Use visible characters: people read the name in refusals, in the log and in the console.',
      )
    }
    if ([...value].length > MAX_RULE_NAME) {
      return valueProblem('value_long', `has more than ${MAX_RULE_NAME} characters`, 'Write something shorter.')
    }
    if (/^access\b|^\d+$/i.test(value)) { // guard: policy-rule-name-no-key
      return valueProblem(
        'rule_name_key',
        `must not look like the key or the number of a rule, but is ${shown}`,
        'Say what the rule is for, such as "NetBox for network engineers".',
      )
    }
    return { value }
  },
}

export const permission: Kind = {
  title: 'permission',
  pattern: '^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)+$',
  read: (value, { shown }) =>
    /^[\w-]+(\.[\w-]+)+$/.test(value)
      ? { value }
      : valueProblem(
        'permission_invalid',
        `must be words joined by dots, but is ${shown}`,
        'Write it like netbox.view',
      ),
}

export const step: Kind = {
  title: 'step',
  read(value, context) {
    const { shown } = context
    const known = [...Object.keys(STEPS), ...Object.keys(OPTIONAL_STEPS)]
    if (known.includes(value)) return { value }
    if (/^[a-z][a-z\d+.-]*:/i.test(value)) {
      return valueProblem(
        'step_url',
        `is ${shown}, which is an address`,
        'A custom step is a file beside the configuration: download it, read it, and name it ./my-step.js',
      )
    }
    if (/^\.\/[\w-][\w.-]*\.m?js$/.test(value)) return context.unusableStep(value) ?? { value }
    if (/[/\\]|\.[cm]?[jt]s$/.test(value)) {
      return valueProblem(
        'step_path',
        `is ${shown}, which looks like a file`,
        "A custom step is a file in the configuration file's directory, named ./my-step.js (letters, digits, _ " +
          '. and - alone)',
      )
    }
    const meant = nearest(value.replace(/^social_core\.pipeline\.\w+\./, ''), known)
    return valueProblem(
      'step_unknown',
      `is ${shown}, but there is no such step`,
      meant === undefined ? `The steps are ${known.join(', ')}.` : `Did you mean ${meant}?`,
    )
  },
}

export const stepFile: Kind = {
  title: 'file of a step',
  pattern: '^\\./.*',
  read(value, context) {
    if (value.startsWith('./')) return step.read(value, context)
    return valueProblem('step_path', `is ${context.shown}, which is no file`, 'Write it like ./my-step.js')
  },
}

export const sha256: Kind = {
  title: 'SHA-256',
  pattern: '^[0-9a-f]{64}$',
  read: (value, { shown }) =>
    /^[0-9a-f]{64}$/.test(value)
      ? { value }
      : valueProblem('sha256_invalid', `must be 64 hex characters, but is ${shown}`, 'sha256sum FILE prints it.'),
}

export const path: Kind = {
  title: 'path',
  read: (value, context) =>
    value.includes('\0')
      ? valueProblem('text_control', 'has a control character', 'Write the path of a file.')
      : { value: context.resolvePath(value) },
}

export const readablePath: Kind = {
  title: 'path',
  read(value, context) {
    const reading = path.read(value, context)
    return 'code' in reading ? reading : context.unreadable(String(reading.value)) ?? reading
  },
}
