// NetBox's settings about its own login. The settings that NetBox needs behind Gatehouse are printed as a new block
// (to-netbox-block.ts): a value of NetBox's template is left out silently, any other value with a warning.
import type { SessionTimes } from './imported.js'
import { describe } from './netbox-mapping.js'
import type { Content, Value } from './python-values.js'
import type { ImportReport } from './report.js'

type Names = ReadonlyMap<string, Value>

/** Settings that the new block replaces, each with a test for the values of NetBox's template and its defaults. */
const REPLACED: Readonly<Record<string, (content: Content) => boolean>> = {
  REMOTE_AUTH_ENABLED: () => true,
  REMOTE_AUTH_BACKEND: () => true,
  REMOTE_AUTH_HEADER: isText('HTTP_REMOTE_USER'),
  REMOTE_AUTH_USER_FIRST_NAME: isText('HTTP_REMOTE_USER_FIRST_NAME'),
  REMOTE_AUTH_USER_LAST_NAME: isText('HTTP_REMOTE_USER_LAST_NAME'),
  REMOTE_AUTH_USER_EMAIL: isText('HTTP_REMOTE_USER_EMAIL'),
  REMOTE_AUTH_GROUP_HEADER: isText('HTTP_REMOTE_USER_GROUP'),
  REMOTE_AUTH_GROUP_SEPARATOR: isText('|'),
  REMOTE_AUTH_AUTO_CREATE_USER: ({ is }) => is === 'constant',
  REMOTE_AUTH_AUTO_CREATE_GROUPS: isFalse,
  REMOTE_AUTH_GROUP_SYNC_ENABLED: isFalse,
  REMOTE_AUTH_DEFAULT_PERMISSIONS: isEmpty,
  REMOTE_AUTH_SUPERUSER_GROUPS: isEmpty,
  REMOTE_AUTH_SUPERUSERS: isEmpty,
  REMOTE_AUTH_STAFF_GROUPS: isEmpty,
  REMOTE_AUTH_STAFF_USERS: isEmpty,
  LOGOUT_REDIRECT_URL: isText('home'),
}

const REMEDIES: Readonly<Record<string, string>> = {
  REMOTE_AUTH_DEFAULT_PERMISSIONS: 'Give the permissions to a group of NetBox that an Entra group is mapped to.',
  REMOTE_AUTH_SUPERUSER_GROUPS: 'Set superuser: true in the rows of groupMapping that map to these groups.',
  REMOTE_AUTH_SUPERUSERS: 'Put these users into an Entra group whose row has superuser: true.',
  REMOTE_AUTH_STAFF_GROUPS: 'Set staff: true in the rows of groupMapping that map to these groups.',
  REMOTE_AUTH_STAFF_USERS: 'Put these users into an Entra group whose row has staff: true.',
  REMOTE_AUTH_AUTO_CREATE_GROUPS: 'Create the groups in NetBox under the names of groupMapping.',
  LOGOUT_REDIRECT_URL: "The new block sets it to Gatehouse's sign-out; see docs/applications/netbox.md.",
}

export function warnOfReplaced(names: Names, report: ImportReport): void {
  for (const [name, { content, at }] of names) {
    const isDefault = REPLACED[name]
    const known = isDefault !== undefined || name === 'REMOTE_AUTH_DEFAULT_GROUPS'
    if (!known && name.startsWith('REMOTE_AUTH_')) {
      const message = `${name} is not known and is left out.`
      report.warn(at, name, 'setting_unknown', message, 'See docs/applications/netbox.md.')
    } else if (isDefault?.(content) === false) { // guard: adv-import-drops-named
      const remedy = REMEDIES[name] ?? 'The new block for NetBox is printed below the configuration.'
      report.warn(at, name, 'setting_replaced', `${name} is left out: NetBox's new settings replace it.`, remedy)
    }
  }
  const required = names.get('LOGIN_REQUIRED')
  if (required && isFalse(required.content)) {
    const message = 'LOGIN_REQUIRED = False is left out: behind Gatehouse every user signs in.'
    report.warn(required.at, 'LOGIN_REQUIRED', 'setting_replaced', message, 'A rule with allow: anyone opens paths.')
  }
}

const DAY = 86_400
const LONGEST = 90 * DAY
const DEFAULT_ABSOLUTE = DAY

/**
 * Without LOGIN_PERSISTENCE a session of NetBox ends LOGIN_TIMEOUT seconds after the sign-in, with it LOGIN_TIMEOUT
 * seconds after the last request.
 */
export function readSessionTimes(names: Names, report: ImportReport): SessionTimes | undefined {
  const [timeout, persistence] = [names.get('LOGIN_TIMEOUT'), names.get('LOGIN_PERSISTENCE')]
  const rolling = persistence?.content.is === 'constant' && persistence.content.value === true
  if (persistence && persistence.content.is !== 'constant') leftOut('LOGIN_PERSISTENCE', persistence, report)
  if (!timeout || isNone(timeout.content)) {
    if (!rolling) return undefined
    const message = 'LOGIN_PERSISTENCE without LOGIN_TIMEOUT is left out: sessions have the times of session.'
    report.warn(persistence.at, 'LOGIN_PERSISTENCE', 'setting_replaced', message, 'Set session.idleTimeout.')
    return undefined
  }
  const seconds = timeout.content.is === 'number' ? Number(timeout.content.text.replaceAll('_', '')) : NaN
  if (!Number.isInteger(seconds) || seconds < 1) {
    leftOut('LOGIN_TIMEOUT', timeout, report)
    return undefined
  }
  if (seconds > LONGEST) {
    const message = `LOGIN_TIMEOUT is longer than the longest session: ${duration(LONGEST)}.`
    report.warn(timeout.at, 'LOGIN_TIMEOUT', 'timeout_shortened', message, 'See session.absoluteTimeout.')
  }
  const time = Math.min(seconds, LONGEST)
  if (!rolling) return { idleTimeout: duration(time), absoluteTimeout: duration(time) }
  const absolute = Math.max(time, DEFAULT_ABSOLUTE)
  const message = `LOGIN_PERSISTENCE: a session that is used ends too, ${duration(absolute)} after the sign-in.`
  report.warn(persistence.at, 'LOGIN_PERSISTENCE', 'timeout_added', message, 'See session.absoluteTimeout.')
  return { idleTimeout: duration(time), absoluteTimeout: duration(absolute) }
}

/** @returns the one host that ALLOWED_HOSTS names, apart from addresses and loopback names */
export function readNetboxHost(names: Names): string | undefined {
  const content = names.get('ALLOWED_HOSTS')?.content
  if (content?.is !== 'list') return undefined
  const texts = content.items.flatMap((item) => item.content.is === 'text' ? item.content.text.toLowerCase() : [])
  const hosts = texts.filter((text) => /^(?:[a-z\d](?:[a-z\d-]*[a-z\d])?\.)+[a-z][a-z\d-]*[a-z\d]$/.test(text))
  return hosts.length === 1 ? hosts[0] : undefined
}

function leftOut(name: string, value: Value, report: ImportReport): void {
  const message = `${name} is left out, since it is not read: ${describe(value)}.`
  report.warn(value.at, name, 'setting_replaced', message, 'Set session.idleTimeout and session.absoluteTimeout.')
}

function duration(seconds: number): string {
  for (const [unit, length] of [['d', DAY], ['h', 3600], ['m', 60]] as const) {
    if (seconds % length === 0) return `${seconds / length}${unit}`
  }
  return `${seconds}s`
}

function isText(expected: string) {
  return (content: Content): boolean => content.is === 'text' && (content.text === expected || content.text === '')
}

function isFalse(content: Content): boolean {
  return content.is === 'constant' && content.value === false
}

function isNone(content: Content): boolean {
  return content.is === 'constant' && content.value === null
}

function isEmpty(content: Content): boolean {
  return (content.is === 'list' && content.items.length === 0) || (content.is === 'dict' && content.entries.size === 0)
}
