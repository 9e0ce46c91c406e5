// SOCIAL_AUTH_PIPELINE_CONFIG: the map of groups and the two lists of flags.
import type { Position } from '../config/problem.js'
import type { Value } from './python-values.js'
import { shown, type ImportReport } from './report.js'
import type { Rows } from './rows.js'

export const MAPPING = 'SOCIAL_AUTH_PIPELINE_CONFIG'
const GROUPS = 'AZUREAD_GROUP_MAP'
const FLAGS = 'AZUREAD_USER_FLAGS_BY_GROUP'
const LITERAL = 'Write it as a literal, or add what it grants to groupMapping by hand.'

export function readMapping(config: Value, rows: Rows, report: ImportReport): void {
  const settings = readDict(config, MAPPING, report)
  if (config.content.is !== 'dict') return
  for (const { name, key } of settings) {
    if (name !== GROUPS && name !== FLAGS) {
      report.warn(
        key.at,
        `${MAPPING}.${name}`,
        'setting_unknown',
        `${name} has no counterpart and is left out.`,
        `Known here are ${GROUPS} and ${FLAGS}.`,
      )
    }
  }
  for (const { name, value } of settings) {
    if (name === GROUPS) readGroups(value, rows, report)
    if (name === FLAGS) readFlags(value, rows, report)
  }
  for (const key of [GROUPS, FLAGS]) {
    // guard: missing-half-warned
    if (!settings.some(({ name }) => name === key)) warnOfMissing(key, config.at, report)
  }
}

function readGroups(value: Value, rows: Rows, report: ImportReport): void {
  for (const { name: id, key, value: name } of readDict(value, GROUPS, report)) {
    const mention = { id, at: key.at, note: name.note ?? key.note, path: GROUPS }
    if (name.content.is === 'text') rows.add(mention, { group: name.content.text })
    else {
      report.problem(
        name.at,
        GROUPS,
        'not_a_name',
        `${id} is mapped to a value that is not read: ${describe(name)}.`,
        `${LITERAL} It takes the name of one group.`,
      )
    }
  }
}

function readFlags(value: Value, rows: Rows, report: ImportReport): void {
  for (const { name: flag, value: ids } of readDict(value, FLAGS, report)) {
    if (flag === 'is_staff' || flag === 'is_superuser') readFlag(flag, ids, rows, report)
    else {
      report.warn(
        ids.at,
        `${FLAGS}.${flag}`,
        'setting_unknown',
        `${flag} has no counterpart and is left out.`,
        'The flags are is_staff and is_superuser.',
      )
    }
  }
}

function readFlag(flag: 'is_staff' | 'is_superuser', ids: Value, rows: Rows, report: ImportReport): void {
  const path = `${FLAGS}.${flag}`
  if (ids.content.is !== 'list') {
    return report.problem(ids.at, path, 'not_a_list', `${flag} is not a list of ids: ${describe(ids)}.`, LITERAL)
  }
  for (const item of ids.content.items) {
    if (item.content.is === 'text') {
      rows.add(
        { id: item.content.text, at: item.at, note: item.note, path },
        flag === 'is_staff' ? { staff: true } : { superuser: true },
      )
    } else {
      report.problem(
        item.at,
        path,
        'not_a_text',
        `${flag} has an entry that is not read: ${describe(item)}.`,
        LITERAL,
      )
    }
  }
}

function warnOfMissing(key: string, at: Position, report: ImportReport): void {
  report.warn(
    at,
    `${MAPPING}.${key}`,
    'setting_missing',
    `${MAPPING} has no ${key}: it is read as empty.`,
    "NetBox's documentation asks for both. Check that nothing is missing.",
  )
}

interface Item {
  readonly key: Value
  readonly name: string
  readonly value: Value
}

/** The entries whose key is a text. Any other key, and a repeated one, is reported. */
function readDict(dict: Value, path: string, report: ImportReport): Item[] {
  if (dict.content.is !== 'dict') {
    report.problem(dict.at, path, 'not_a_dict', `${path} is not a dict of literals: ${describe(dict)}.`, LITERAL)
    return []
  }
  return [...dict.content.entries.values()].flatMap(({ key, value, again }) => {
    if (key.content.is !== 'text') {
      report.problem(key.at, path, 'not_a_text', `${path} has a key that is not read: ${describe(key)}.`, LITERAL)
      return []
    }
    for (const at of again) { // guard: python-keys-once
      report.warn(
        at,
        path,
        'key_repeated',
        `${
          shown(key.content.text)
        } (line ${key.at.line}) is in the dict again: Python keeps the last, and so does this import.`,
        'Keep one of them; one Entra group can be in several local groups with groups: [One, Two].',
      )
    }
    return [{ key, name: key.content.text, value }]
  })
}

export function describe({ content }: Value): string {
  switch (content.is) {
    case 'unknown':
      return content.reason
    case 'text':
      return 'it is a text'
    case 'number':
      return `it is the number ${content.text}`
    case 'environment':
      return `it is the environment variable ${content.text}`
    case 'constant':
      return `it is ${constantName(content.value)}`
    default:
      return `it is a ${content.is}`
  }
}

function constantName(value: boolean | null): string {
  if (value === null) return 'None'
  return value ? 'True' : 'False'
}
