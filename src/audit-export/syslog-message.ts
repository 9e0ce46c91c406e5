// A message of syslog: RFC 5424, framed by octet counting (RFC 6587 section 3.4.1, RFC 5425 section 4.3). The message
// is the event as JSON in ASCII, so that it needs no byte order mark (RFC 5424 section 6.4) and has no line break.
import { auditJson, type AuditView } from '../core/audit.js'
import { isRefusal } from '../core/audit-export.js'

const FACILITY_LOG_AUDIT = 13 // RFC 5424, table 1
const SEVERITY = { warning: 4, notice: 5 } as const // table 2
const NIL = '-'
/** RFC 5612: the enterprise number for examples. Gatehouse has none of its own. */
const SD_ID = 'audit@32473'
const MAX = { hostname: 255, msgId: 32 } as const

/** @param hostname of the installation @returns the frames of these events, one after the other */
export function syslogFrames(events: readonly AuditView[], hostname: string): Buffer {
  return Buffer.concat(events.map((event) => {
    const message = Buffer.from(syslogMessage(event, hostname), 'utf8')
    return Buffer.concat([Buffer.from(`${message.length} `), message]) // guard: audit-export-octets
  }))
}

export function syslogMessage(event: AuditView, hostname: string): string {
  const priority = FACILITY_LOG_AUDIT * 8 + (isRefusal(event) ? SEVERITY.warning : SEVERITY.notice)
  const header = `<${priority}>1 ${timeOf(event.at)} ${printable(hostname, MAX.hostname)} gatehouse ${NIL} ${
    printable(event.action, MAX.msgId)
  }`
  const { id, action, actor } = event
  const data = Object.entries({ id, action, actor }).map(([name, value]) => `${name}="${parameter(value)}"`).join(' ')
  return `${header} [${SD_ID} ${data}] ${ascii(auditJson(event))}`
}

/** RFC 5424 section 6.2.3: up to six digits of a second, `T` and `Z` in capitals. */
function timeOf(at: string): string {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)$/.test(at) ? at : NIL
}

/** Section 6: PRINTUSASCII, without spaces. */
function printable(text: string, max: number): string {
  return text.replace(/[^!-~]/gu, '_').slice(0, max) || NIL
}

/** Section 6.3.3. Control characters, which a receiver may not expect, are in the message alone. */
function parameter(value: string): string {
  // guard: audit-export-escaped
  return value.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/gu, '\uFFFD').replace(/["\\\]]/g, '\\$&')
}

function ascii(json: string): string {
  return json.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
