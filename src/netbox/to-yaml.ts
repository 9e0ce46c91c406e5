// The configuration as YAML, made by the `yaml` package so that no name of a group can become structure. A value that
// the file does not have is a variable, and the comment at the top names all variables.
import { Document, isCollection, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { DEFAULT_PIPELINE } from '../config/schema.js'
import { VIEW_PERMISSION } from './to-groups.js'
import { hostsOf } from './imported-hosts.js'
import type { Imported } from './imported.js'
import type { Row } from './rows.js'

const EXPLAINED: Readonly<Record<string, string>> = {
  NETBOX_HOST: 'the host where browsers reach NetBox: netbox.example.com',
  COOKIE_DOMAIN: 'the narrowest domain that holds Gatehouse and NetBox: example.com',
  PUBLIC_URL: 'the origin where browsers reach Gatehouse: https://auth.example.com',
  ENTRA_TENANT_ID: 'the Directory (tenant) ID',
  ENTRA_CLIENT_ID: 'the Application (client) ID of the registration',
  ENTRA_CLIENT_SECRET: 'the value of its client secret',
  DATABASE_URL: 'postgres://user:password@host:5432/database',
  SESSION_SECRET: 'openssl rand -base64 48',
  KEY_ENCRYPTION_SECRET: 'openssl rand -base64 48, another one',
}
const WHOLE = /^\$\{(\w+)(?::-[^}]*)?\}$/
const LINE_WIDTH = 0 // long names are not folded
const variable = (name: string) => `\${${name}}`

/** The values of the settings: those of the file, else variables. */
interface Values {
  readonly netboxHost: string
  readonly cookieDomain: string
  readonly tenantId: string
  readonly clientId: string
  readonly clientSecret: string
}

export function toYaml(imported: Imported): string {
  const values = valuesOf(imported)
  const { netboxHost } = values
  const document = new Document(new YAMLMap())
  addInstance(document, imported, values)
  addEntraRemarks(document, imported)
  addMapping(document, imported.rows)
  addAccess(document, netboxHost) // guard: adv-import-is-a-gateway
  if (imported.defaultGroups?.length) addDefaultGroups(document, imported.defaultGroups)
  if (imported.pipelineDiffers) addPipeline(document, imported.pipelineDiffers)
  document.commentBefore = headerComment(values)
  return document.toString({ lineWidth: LINE_WIDTH, flowCollectionPadding: false })
}

function valuesOf(imported: Imported): Values {
  const {
    tenantId = variable('ENTRA_TENANT_ID'),
    clientId = variable('ENTRA_CLIENT_ID'),
    clientSecret = variable('ENTRA_CLIENT_SECRET'),
  } = imported
  return { ...hostsOf(imported), tenantId, clientId, clientSecret }
}

/** The sections that every configuration has: server, entra, database, session and keys. */
function addInstance(document: Document, { cloud, sessionTimes }: Imported, values: Values): void {
  const { netboxHost, cookieDomain, tenantId, clientId, clientSecret } = values
  const list = (...texts: readonly string[]) => flow(document, texts)
  const sections = {
    server: { publicUrl: variable('PUBLIC_URL'), redirectDomains: list(netboxHost) },
    entra: { tenantId, clientId, clientSecret, ...(cloud === undefined || cloud === 'global' ? {} : { cloud }) },
    database: { url: variable('DATABASE_URL') },
    session: { secrets: list(variable('SESSION_SECRET')), cookieDomain, ...sessionTimes },
    keys: { encryptionSecrets: list(variable('KEY_ENCRYPTION_SECRET')) },
  }
  for (const [name, section] of Object.entries(sections)) document.set(name, document.createNode(section))
}

function addEntraRemarks(document: Document, { tenantId, clientId }: Imported): void {
  if (tenantId === undefined) {
    beside(document.getIn(['entra', 'tenantId'], true), 'REPLACE: the Directory (tenant) ID of your organisation')
  }
  if (clientId === undefined) {
    beside(document.getIn(['entra', 'clientId'], true), 'REPLACE: the Application (client) ID of the registration')
  }
}

/** The variables that the environment must have, each with its meaning. */
function headerComment({ netboxHost, cookieDomain, tenantId, clientId, clientSecret }: Values): string {
  const values = [netboxHost, cookieDomain, tenantId, clientId, clientSecret]
  const named = values.flatMap((value) => WHOLE.exec(value)?.[1] ?? [])
  const used = ['PUBLIC_URL', ...named, 'DATABASE_URL', 'SESSION_SECRET', 'KEY_ENCRYPTION_SECRET']
  return [
    ' Made from a NetBox configuration by: gatehouse import-netbox',
    ' Check it with: gatehouse check',
    ' It needs these variables in the environment:',
    ...[...new Set(used)].map((name) => `   ${name.padEnd(24)} ${EXPLAINED[name] ?? 'as in NetBox'}`),
  ].join('\n')
}

function addDefaultGroups(document: Document, groups: readonly string[]): void {
  document.set('defaultGroups', flow(document, groups.map(literal)))
  above(document, 'defaultGroups', [
    'No effect, as in NetBox: azuread_map_groups runs later and replaces all memberships.',
  ])
}

/** Users with netbox.view reach NetBox; NetBox's own permissions decide what they may do there. */
function addAccess(document: Document, netboxHost: string): void {
  const rule = document.createNode({ hosts: [netboxHost], allow: { permissions: [VIEW_PERMISSION] } }) as YAMLMap
  rule.flow = true
  document.set('access', document.createNode({ rules: [rule] }))
}

function addMapping(document: Document, rows: readonly Row[]): void {
  const mapping = new YAMLSeq<YAMLMap>()
  let refused: string[] = []
  for (const row of rows) {
    if (row.refused) refused.push(...asComment(row)) // guard: refused-rows-shown
    else {
      const node = rowNode(document, row)
      if (refused.length > 0) node.commentBefore = refused.join('\n')
      refused = []
      mapping.add(node)
    }
  }
  document.set('groupMapping', mapping)
  if (refused.length === 0) return
  if (mapping.items.length > 0) mapping.comment = refused.join('\n')
  else {
    mapping.flow = true
    above(document, 'groupMapping', refused)
  }
}

function rowNode(document: Document, { id, groups, staff, superuser, notes }: Row): YAMLMap {
  const row = document.createNode({
    entraGroup: id,
    ...(groups.length > 0 ? { groups: flow(document, groups.map(literal)) } : {}),
    ...(staff ? { staff } : {}),
    ...(superuser ? { superuser } : {}),
  }) as YAMLMap
  if (notes.length > 0) beside(row.get('entraGroup', true), notes.join('; '))
  return row
}

/** A row whose id is not an object ID, as a comment. */
function asComment(row: Row): string[] {
  const alone = new Document(new YAMLSeq())
  alone.add(rowNode(alone, { ...row, id: row.id.replace(/\p{C}/gu, '?').slice(0, 200) }))
  return [
    ' not an object ID:',
    ...alone.toString({ lineWidth: LINE_WIDTH, flowCollectionPadding: false }).trimEnd().split('\n').map((line) =>
      ` ${line}`
    ),
  ]
}

function addPipeline(document: Document, differs: readonly string[]): void {
  document.set('pipeline', flow(document, [...DEFAULT_PIPELINE]))
  const differences = differs.map((each) => ` - ${each.replace(/\p{C}/gu, '?')}`)
  above(
    document,
    'pipeline',
    differs.length === 0 ? ['The same order as in NetBox.'] : ['The default order. In NetBox:', ...differences],
  )
}

function flow(document: Document, values: readonly string[]): YAMLSeq {
  const list = document.createNode(values) as YAMLSeq
  list.flow = true
  return list
}

/** A name is never a reference to a variable, even one that contains `${`. */
function literal(name: string): string {
  return name.replaceAll(/\$(?=\{)/g, '$$$$')
}

function beside(node: unknown, comment: string): void {
  if (node instanceof Scalar) node.comment = ` ${comment}`
}

function above(document: Document, key: string, lines: readonly string[]): void {
  const pair = isCollection(document.contents)
    ? (document.contents as YAMLMap).items.find((each) =>
      each.key instanceof Scalar ? each.key.value === key : each.key === key
    )
    : undefined
  if (!pair) return
  pair.key = new Scalar(key)
  ;(pair.key as Scalar).commentBefore = lines.map((line) => line.startsWith(' ') ? line : ` ${line}`).join('\n')
}
