// The mapping in the form of Gatehouse: one row for each Entra group, in the order of first appearance, from every
// place of the file that names the group. A row without a valid object ID is separate, to be printed as a comment.
import type { Position, ValueProblem } from '../config/problem.js'
import { isRefusal, type KindContext } from '../config/kinds/kind.js'
import { groupName } from '../config/kinds/names.js'
import { entraGroup } from '../config/kinds/object-ids.js'
import { shown, type ImportReport } from './report.js'

export interface Row {
  /** Unchanged from the file where it is refused. */
  readonly id: string
  readonly refused: boolean
  readonly groups: string[]
  staff: boolean
  superuser: boolean
  readonly notes: string[]
}

export interface Mention {
  readonly id: string
  readonly at: Position
  readonly note?: string | undefined
  readonly path: string
}
export interface Grant {
  readonly group?: string
  readonly staff?: boolean
  readonly superuser?: boolean
}

export interface Rows {
  readonly list: readonly Row[]
  add(mention: Mention, grant: Grant): void
}

export function createRows(report: ImportReport): Rows {
  const rows = new Map<string, Row>()
  const spellings = new Map<string, string>()

  function rowOf(mention: Mention): Row {
    const { id } = mention
    const objectId = readObjectId(mention, report)
    if (objectId !== undefined) {
      const first = spellings.get(objectId) ?? id
      spellings.set(objectId, first)
      warnOfCase(mention, first, objectId, report)
    }
    const key = objectId ?? `refused ${id}`
    const row = rows.get(key) ?? {
      id: objectId ?? id,
      refused: objectId === undefined,
      groups: [],
      staff: false,
      superuser: false,
      notes: [],
    }
    rows.set(key, row)
    return row
  }

  return {
    get list() {
      return [...rows.values()]
    },
    add(mention, grant) {
      const row = rowOf(mention)
      const note = mention.note?.replace(/\s+/g, ' ').replace(/\p{C}/gu, '?')
      if (note && !row.notes.includes(note)) row.notes.push(note)
      row.staff ||= grant.staff ?? false
      row.superuser ||= grant.superuser ?? false
      if (
        grant.group !== undefined && checkGroupName(grant.group, mention.at, mention.path, report) &&
        !row.groups.includes(grant.group)
      ) row.groups.push(grant.group)
    },
  }
}

/** @returns the object ID in lower case; undefined, with a problem in the report, where the text is not one */
function readObjectId({ id, at, path }: Mention, report: ImportReport): string | undefined {
  const reading = entraGroup.read(id, context(id))
  if (!isRefusal(reading)) return String(reading.value)
  report.problem(
    at,
    path,
    reading.code,
    `The id ${reading.message}.`,
    `${reading.remedy} It is left out: its row is printed as a comment.`,
  )
  return undefined
}

/** @param first the first spelling of the same object ID in the file */
function warnOfCase({ id, at, path }: Mention, first: string, objectId: string, report: ImportReport): void {
  if (first !== id) {
    report.warn(
      at,
      path,
      'id_case',
      `${id} and ${first} are the same id but for upper and lower case: their rows are merged.`,
      'NetBox compares exactly, so only the one in lower case had an effect there; check that the row grants what ' +
        'you intend.',
    )
  } else if (id !== objectId) {
    report.warn(
      at,
      path,
      'id_case',
      `${id} has capital letters.`,
      'Entra ID writes ids in lower case and NetBox compares exactly, so it had no effect there; it has one here.',
    )
  }
}

/** Whether a local group can have the name; a problem in the report where not. */
export function checkGroupName(name: string, at: Position, path: string, report: ImportReport): boolean {
  const problem = groupNameProblem(name)
  if (problem) {
    report.problem(
      at,
      path,
      problem.code,
      `The name of the group ${problem.message}.`,
      `${problem.remedy} The name is left out.`,
    )
  }
  return !problem
}

function groupNameProblem(name: string): ValueProblem | undefined {
  if (name === '') return { code: 'group_name_empty', message: 'is empty', remedy: 'Name a local group.' }
  if (name.includes(',')) {
    return {
      code: 'group_name_separator',
      message: `holds a comma: ${shown(name)}`,
      remedy: 'Rename the group: in a header, an application would read two.',
    }
  }
  const reading = groupName.read(name, context(name))
  return isRefusal(reading) ? reading : undefined
}

/** For kinds that read nothing but the text. */
export function context(text: string): KindContext {
  const fine = (): undefined => undefined
  return { shown: shown(text), resolvePath: (path) => path, unreadable: fine, unusableStep: fine, unusableImage: fine }
}
