// Object IDs. Any 8-4-4-4-12 hex counts: Entra ID's own have no variant bits to check. The usual mistakes (a display
// name, a sample id from a manual that is not hex) are named for what they are.
import { valueProblem, type ValueProblem } from '../problem.js'
import type { Kind, Reading } from './kind.js'

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i // guard: any-guid
const PATTERN = '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$'
const SHAPE = 'An ID has 8-4-4-4-12 digits 0-9 and a-f.'

function readGuid(text: string, shown: string, remedy: string): Reading | ValueProblem {
  if (GUID.test(text)) return { value: text.toLowerCase() } // guard: ids-lowered
  const core = text.trim().replace(/^urn:uuid:/i, '').replace(/^[{(](.*)[)}]$/, '$1')
  if (GUID.test(core)) { // guard: ids-not-trimmed
    return valueProblem(
      'guid_invalid',
      `must be an ID and nothing else, but is ${shown}`,
      `Leave out what surrounds the digits. ${SHAPE}`,
    )
  }
  if (/^[0-9a-z]+(-[0-9a-z]+){4}$/i.test(core)) {
    const invalidChars = [...new Set(core.toLowerCase().match(/[g-z]/g) ?? [])]
    if (invalidChars.length > 0) { // guard: hex-alone, sample-ids-left-out
      return valueProblem(
        'guid_not_hex',
        `is ${shown}, which looks like an ID, but ${invalidChars.map((char) => `"${char}"`).join(', ')} ${
          invalidChars.length === 1
            ? 'is'
            : 'are'
        } not hexadecimal`,
        `Sample ids in manuals are often made up. ${remedy}`,
      )
    }
    return valueProblem(
      'guid_invalid',
      `is ${shown}, whose groups of digits have ${
        core.split('-').map((part) => part.length).join('-')
      } characters instead of 8-4-4-4-12`,
      remedy,
    )
  }
  return valueProblem('guid_invalid', `must be an ID, but is ${shown}`, `${SHAPE} ${remedy}`)
}

export const guid: Kind = {
  title: 'GUID',
  pattern: PATTERN,
  read: (text, { shown }) => readGuid(text, shown, 'Copy it from the Overview page in the Entra admin center.'),
}

export const tenant: Kind = {
  title: 'GUID, `common` or `organizations`',
  pattern: `^common$|^organizations$|${PATTERN}`,
  read(text, { shown }) {
    if (text === 'common' || text === 'organizations') return { value: text }
    if (text === 'consumers') {
      return valueProblem(
        'tenant_invalid',
        'is "consumers", but personal Microsoft accounts cannot sign in',
        'Use the Directory (tenant) ID of your organisation.',
      )
    }
    if (text.includes('.')) {
      return valueProblem(
        'tenant_invalid',
        `is ${shown}, which looks like a domain`,
        'Use the Directory (tenant) ID: a domain can move to another tenant.',
      )
    }
    return readGuid(text, shown, 'Copy the Directory (tenant) ID from the Overview page in the Entra admin center.')
  },
}

export const entraGroup: Kind = {
  title: 'GUID (Object ID of an Entra group)',
  pattern: PATTERN,
  read(text, { shown }) {
    const reading = readGuid(text, shown, "Use the Object ID that the group's page in the Entra admin center shows.")
    if (
      !('code' in reading) || reading.code !== 'guid_invalid' ||
      !/[^0-9a-f\-{}()]/i.test(text.replace(/^urn:uuid:/i, '').trim()) // guard: display-names-refused
    ) return reading
    return valueProblem(
      'guid_display_name',
      `is ${shown}, which looks like a display name`,
      'Use the Object ID: names can be changed and given twice.',
    )
  },
}

/** learn.microsoft.com, "Conditional Access: authentication context": ids c1 to c99. */
export const authenticationContext: Kind = {
  title: 'ID of an authentication context',
  pattern: '^c[1-9][0-9]?$',
  read: (text, { shown }) =>
    /^c[1-9]\d?$/.test(text)
      ? { value: text }
      : valueProblem(
        'authentication_context_invalid',
        `must be c1 to c99, but is ${shown}`,
        'Use the ID that the page Authentication contexts under Conditional Access shows, not the display name.',
      ),
}
