// The mapping as Gatehouse has it: one row for each Entra group, in the order of first appearance, from wherever in the
// file it was said. What is no object ID is kept apart, to be printed as a comment.
import type { Position, ValueProblem } from '../config/problem.js'
import { isRefusal, type KindContext } from '../config/kinds/kind.js'
import { groupName } from '../config/kinds/names.js'
import { entraGroup } from '../config/kinds/object-ids.js'
import { shown, type ImportReport } from './report.js'

export interface Row {
  /** As it stands in the file where it is refused. */
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

  function rowOf({ id, at, path }: Mention): Row {
    const reading = entraGroup.read(id, context(id))
    const refused = isRefusal(reading)
    if (refused) {
      report.problem(
        at,
        path,
        reading.code,
        `The id ${reading.message}.`,
        `${reading.remedy} It is left out: its row is printed as a comment.`,
      )
    }
    const key = refused ? `refused ${id}` : String(reading.value)
    if (!refused) tellCase(id, key, at, path)
    const row = rows.get(key) ??
      { id: refused ? id : key, refused, groups: [], staff: false, superuser: false, notes: [] }
    rows.set(key, row)
    return row
  }

  function tellCase(id: string, key: string, at: Position, path: string): void {
    const before = spellings.get(key) ?? id
    spellings.set(key, before)
    if (before !== id) {
      report.warn(
        at,
        path,
        'id_case',
        `${id} and ${before} are the same id but for upper and lower case: their rows are merged.`,
        'NetBox compares exactly, so only the one in lower case had an effect there; see that the row grants what ' +
          'you mean.',
      )
    } else if (id !== key) {
      report.warn(
        at,
        path,
        'id_case',
        `${id} has capital letters.`,
        'Entra ID writes ids in lower case and NetBox compares exactly, so it had no effect there; it has one here.',
      )
    }
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
        grant.group !== undefined && isGroup(grant.group, mention.at, mention.path, report) &&
        !row.groups.includes(grant.group)
      ) row.groups.push(grant.group)
    },
  }
}

/** Whether a name can be that of a local group; says so where not. */
export function isGroup(name: string, at: Position, path: string, report: ImportReport): boolean {
  const reading = groupName.read(name, context(name))
  const refusal: ValueProblem | undefined = name === ''
    ? { code: 'group_name_empty', message: 'is empty', remedy: 'Name a local group.' }
    : name.includes(',')
    ? {
      code: 'group_name_separator',
      message: `holds a comma: ${shown(name)}`,
      remedy: 'Rename the group: in a header, an application would read two.',
    }
    : isRefusal(reading)
    ? reading
    : undefined
  if (refusal) {
    report.problem(
      at,
      path,
      refusal.code,
      `The name of the group ${refusal.message}.`,
      `${refusal.remedy} The name is left out.`,
    )
  }
  return !refusal
}

/** For kinds that look at nothing but the text. */
export function context(text: string): KindContext {
  const fine = (): undefined => undefined
  return { shown: shown(text), resolvePath: (path) => path, unreadable: fine, unusableStep: fine, unusableImage: fine }
}
