// A wished-for tenant made real twice: in the simulated directory, and as the plain edges that the oracle reads.
import type { Directory } from '../../src/demo/directory.js'
import type { Change, RowWish, TenantWish } from './arbitraries.js'
import type { Edge, Kind, Row, Tenant } from './oracle.js'

export interface LiveTenant extends Tenant {
  /** The person whose joins these are. */
  readonly person: string
  /** Does what of a change happens in the directory. */
  change(change: Change): void
  rows(wishes: readonly RowWish[]): Row[]
  /** How many pages everything the person is in takes. */
  pages(size: number): number
  /** Takes everything out of the directory but the people. */
  clear(): void
}

const hex = (n: number, digits: number) => n.toString(16).padStart(digits, '0')
const objectId = (n: number) => `facade${hex(n, 2)}-beef-4bad-8cab-decade0${hex(n, 5)}`
const strangeId = (n: number) => `deadbea7-dead-4ead-9eaf-${hex(n, 12)}`

export function createTenant(directory: Directory, person: string, wish: TenantWish): LiveTenant {
  const kinds = new Map<string, Kind>()
  let edges: Edge[] = []
  const idOf = (n: number) => wish.kinds.length === 0 ? undefined : objectId(n % wish.kinds.length)
  const isGroup = (id: string | undefined) =>
    id !== undefined && (kinds.get(id) === 'group' || kinds.get(id) === 'unifiedGroup')

  const add = (id: string, kind: Kind) => {
    const unified = kind === 'unifiedGroup'
    directory.addObject({
      id,
      displayName: `Object ${id}`,
      type: unified ? 'group' : kind,
      securityEnabled: !unified,
      ...(unified ? { groupTypes: ['Unified'] } : {}),
    })
    kinds.set(id, kind)
  }
  const link = (member: string, container: string | undefined) => {
    if (container === undefined || !kinds.has(container)) return
    // Entra does not let it happen
    if (member !== person && (!isGroup(member) || kinds.get(container) === 'unifiedGroup')) return
    directory.addMember(container, member)
    edges.push({ member, container })
  }
  const unlink = (member: string, container: string | undefined) => {
    if (container === undefined) return
    directory.removeMember(container, member)
    edges = edges.filter((edge) => edge.member !== member || edge.container !== container)
  }
  const remove = (id: string | undefined) => {
    if (id === undefined) return
    directory.removeObject(id)
    kinds.delete(id)
    edges = edges.filter((edge) => edge.member !== id && edge.container !== id)
  }
  const written = ({ of, object, writing }: RowWish): string => {
    const id = of === 'person' ? person : (of === 'object' ? idOf(object) : undefined) ?? strangeId(object)
    return writing === 'lower'
      ? id
      : writing === 'upper'
      ? id.toUpperCase()
      : id.replace(/[a-f]/g, (letter, at: number) => at % 2 === 0 ? letter.toUpperCase() : letter)
  }

  wish.kinds.forEach((kind, n) => add(objectId(n), kind))
  for (let n = 0; n < wish.padding; n++) {
    add(strangeId(1000 + n), 'group')
    link(person, strangeId(1000 + n))
  }
  for (const object of wish.joins) link(person, idOf(object))
  for (const [container, member] of wish.nests) link(idOf(member) ?? person, idOf(container))

  return {
    person,
    kinds,
    get edges() {
      return edges
    },
    change(change) {
      switch (change.do) {
        case 'join':
          return link(person, idOf(change.object))
        case 'leave':
          return unlink(person, idOf(change.object))
        case 'delete':
          return remove(idOf(change.object))
        case 'nest':
          return link(idOf(change.member) ?? person, idOf(change.container))
        case 'unnest':
          return unlink(idOf(change.member) ?? person, idOf(change.container))
      }
    },
    rows: (wishes) =>
      wishes.map((wish) => ({
        entraGroup: written(wish),
        groups: wish.groups,
        staff: wish.staff,
        superuser: wish.superuser,
      })),
    pages: (size) => Math.max(1, Math.ceil(directory.transitiveMemberOf(person).length / size)),
    clear() {
      for (const id of [...directory.objects.keys()]) directory.removeObject(id)
    },
  }
}
