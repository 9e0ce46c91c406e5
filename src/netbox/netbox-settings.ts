// A NetBox configuration as settings: the backend's (under any of its three prefixes), default groups, pipeline,
// mapping.
import { isRefusal } from '../config/kinds/kind.js'
import { guid, tenant } from '../config/kinds/object-ids.js'
import { entraEndpoints, type Cloud } from '../entra/clouds.js'
import type { Imported } from './imported.js'
import { readNetboxHost, readSessionTimes, warnOfReplaced } from './netbox-login.js'
import { describe, MAPPING, readMapping } from './netbox-mapping.js'
import { readPipeline } from './netbox-pipeline.js'
import { parsePython } from './python-file.js'
import type { Value } from './python-values.js'
import { readNames } from './python-names.js'
import { ImportRefused, shown, type ImportReport } from './report.js'
import { checkGroupName, context, createRows, type Row } from './rows.js'

const BACKEND = /^SOCIAL_AUTH_AZUREAD_(?:TENANT_|V2_TENANT_)?OAUTH2_(KEY|SECRET|TENANT_ID|RESOURCE)$/
const OTHERS = [MAPPING, 'SOCIAL_AUTH_PIPELINE', 'REMOTE_AUTH_DEFAULT_GROUPS']
const NAME_FEDERATED = /_FEDERATED_TOKEN_FILE$/
const GRAPH_APP_ID = '00000003-0000-0000-c000-000000000000'
const CLOUDS: readonly Cloud[] = ['global', 'usgov', 'usgov-dod', 'china']

/** @throws ImportRefused where the file is not Python, or has no setting of the login */
export function readNetboxSettings(text: string, file: string, report: ImportReport): Imported {
  const names = readNames(parsePython(text, file))
  const backend = readBackend(names, report)
  const settings = [...names.keys()].filter((name) => OTHERS.includes(name))
  if (backend.size === 0 && settings.length === 0) {
    throw new ImportRefused(
      `${file}: nothing of NetBox's login is in this file`,
      `Give the file that defines ${MAPPING} and SOCIAL_AUTH_AZUREAD_OAUTH2_KEY, or the NetBox Cloud table.`,
    )
  }
  warnOfReplaced(names, report)
  warnOfUnknown(names, report)
  const [mapping, pipeline, defaults] = OTHERS.map((name) => names.get(name))
  return {
    rows: readRows(mapping, report),
    tenantId: readTenant(backend.get('TENANT_ID'), report),
    clientId: readClientId(backend.get('KEY'), report),
    clientSecret: readSecret(backend.get('SECRET'), report),
    cloud: readCloud(backend.get('RESOURCE'), report),
    defaultGroups: defaults && readDefaultGroups(defaults, report),
    pipelineDiffers: pipeline && readPipeline(pipeline, report),
    sessionTimes: readSessionTimes(names, report), // guard: adv-import-session-times
    netboxHost: readNetboxHost(names),
  }
}

/** Settings of python-social-auth that Gatehouse has no counterpart of. */
function warnOfUnknown(names: ReadonlyMap<string, Value>, report: ImportReport): void {
  for (const [name, { at }] of names) {
    if (!name.startsWith('SOCIAL_AUTH_') || BACKEND.test(name) || OTHERS.includes(name)) continue
    if (NAME_FEDERATED.test(name)) {
      report.warn(
        at,
        name,
        'setting_unknown',
        `${name} is left out.`,
        'Set entra.federatedTokenFile in place of entra.clientSecret.',
      )
    } else { // guard: no-counterpart-named
      report.warn(
        at,
        name,
        'setting_unknown',
        `${name} has no counterpart and is left out.`,
        'See docs/configuration.md for the settings of Gatehouse.',
      )
    }
  }
}

function readRows(mapping: Value | undefined, report: ImportReport): readonly Row[] {
  const rows = createRows(report)
  if (mapping) readMapping(mapping, rows, report)
  else {
    report.warn(
      { line: 1, column: 1 },
      MAPPING,
      'setting_missing',
      `${MAPPING} is not in this file: groupMapping is empty.`,
      'If it is in another file, import that one as well.',
    )
  }
  return rows.list
}

interface Setting {
  readonly name: string
  readonly value: Value
}

function readBackend(names: ReadonlyMap<string, Value>, report: ImportReport): Map<string, Setting> {
  const found = new Map<string, Setting>()
  for (const [name, value] of names) {
    const [, part] = BACKEND.exec(name) ?? []
    const earlier = part === undefined ? undefined : found.get(part)
    if (part === undefined) continue
    if (!earlier) found.set(part, { name, value })
    else if (part !== 'SECRET' && JSON.stringify(earlier.value.content) !== JSON.stringify(value.content)) {
      report.warn(
        value.at,
        name,
        'setting_twice',
        `${name} differs from ${earlier.name}, which is taken.`,
        'Compare the two and correct what is printed if the other one is in use.',
      )
    }
  }
  return found
}

function readTenant(setting: Setting | undefined, report: ImportReport): string | undefined {
  if (!setting) {
    report.warn(
      { line: 1, column: 1 },
      'entra.tenantId',
      'tenant_missing',
      'No tenant ID is in this file.',
      'Set ENTRA_TENANT_ID to the Directory (tenant) ID; the backend azuread-oauth2 let every tenant in.',
    )
  }
  return setting && readId(setting, tenant, 'ENTRA_TENANT_ID', report)
}

function readClientId(setting: Setting | undefined, report: ImportReport): string | undefined {
  if (!setting) {
    report.warn(
      { line: 1, column: 1 },
      'entra.clientId',
      'client_id_missing',
      'No client ID is in this file.',
      'Set ENTRA_CLIENT_ID to the Application (client) ID.',
    )
  }
  return setting && readId(setting, guid, 'ENTRA_CLIENT_ID', report)
}

function readId(
  { name, value: { content, at, ...value } }: Setting,
  kind: typeof guid,
  variable: string,
  report: ImportReport,
): string | undefined {
  const refuse = (why: string, remedy: string) =>
    report.warn(at, name, 'id_unusable', `${name} ${why}.`, `${remedy} Set ${variable}, or write the id in its place.`)
  if (content.is === 'environment') {
    const { text, fallback } = content
    if (fallback === undefined || isEmpty(fallback)) return `\${${text}}`
    const setting = { name: `The default of ${text} in ${name}`, value: { content: fallback, at, ...value } }
    const id = readId(setting, kind, text, report)
    return id === undefined ? `\${${text}}` : `\${${text}:-${id}}` // guard: adv-import-defaults-kept
  }
  if (content.is !== 'text') {
    refuse(`is not read: ${describe({ content, at, ...value })}`, '')
    return undefined
  }
  const reading = kind.read(content.text, context(content.text))
  if (!isRefusal(reading) && /^[0-9a-f-]{36}$/.test(String(reading.value))) return String(reading.value)
  if (isRefusal(reading)) refuse(reading.message, reading.remedy)
  else refuse(`is ${shown(content.text)}, which lets every tenant in`, 'Use the Directory (tenant) ID of your tenant.')
  return undefined
}

/** None or an empty text: no default. */
function isEmpty(content: Value['content']): boolean {
  return (content.is === 'constant' && content.value === null) || (content.is === 'text' && content.text === '')
}

/** A secret never reaches the output, in whichever form the file has it. */
function readSecret(setting: Setting | undefined, report: ImportReport): string | undefined {
  if (setting?.value.content.is === 'environment') {
    const { text, fallback } = setting.value.content
    if (fallback !== undefined && !isEmpty(fallback)) {
      const message = `The default of ${text} in ${setting.name} is not copied.`
      report.warn(setting.value.at, setting.name, 'secret_not_copied', message, `Set the environment variable ${text}.`)
    }
    return `\${${text}}`
  }
  if (setting) {
    report.warn(
      setting.value.at,
      setting.name,
      'secret_not_copied',
      `${setting.name} is not copied.`,
      'Put its value into the environment variable ENTRA_CLIENT_SECRET, or use entra.clientSecretFile.',
    )
  }
  return undefined
}

function readCloud(setting: Setting | undefined, report: ImportReport): Cloud | undefined {
  if (!setting) return undefined
  const { name, value } = setting
  // guard: resource-read
  const resource = value.content.is === 'text' ? value.content.text.toLowerCase().replace(/\/+$/, '') : undefined
  if (resource === GRAPH_APP_ID) return undefined
  const cloud = CLOUDS.find((each) => entraEndpoints({ tenantId: 'any', cloud: each }).graph === resource)
  if (cloud !== undefined) return cloud // guard: resource-judged
  report.warn(
    value.at,
    name,
    'resource_unknown',
    `${name} is not Microsoft Graph of any cloud: ${resource === undefined ? describe(value) : shown(resource)}.`,
    'entra.cloud stays global; set it to usgov, usgov-dod or china if your registration is there.',
  )
  return undefined
}

function readDefaultGroups(value: Value, report: ImportReport): string[] {
  const path = 'REMOTE_AUTH_DEFAULT_GROUPS'
  if (value.content.is !== 'list') {
    report.problem(
      value.at,
      path,
      'not_a_list',
      `${path} is not read: ${describe(value)}.`,
      'Write it as a literal list of names.',
    )
    return []
  }
  const groups = value.content.items.flatMap((item) => {
    if (item.content.is === 'text') {
      return checkGroupName(item.content.text, item.at, path, report) ? [item.content.text] : []
    }
    report.problem(
      item.at,
      path,
      'not_a_text',
      `${path} has an entry that is not read: ${describe(item)}.`,
      'Write it as a literal.',
    )
    return []
  })
  if (groups.length > 0) {
    report.warn(
      value.at,
      path,
      'default_groups_lost',
      `${path} has no effect, as in NetBox: azuread_map_groups runs later and replaces all memberships.`,
      'Map an Entra group that every user is in, and remove defaultGroups.',
    )
  }
  return [...new Set(groups)]
}
