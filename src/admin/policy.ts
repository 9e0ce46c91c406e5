// The whole policy in force as one object: mapping, access rules, and the hash by which replicas compare.
import type { AccessAdmin, RuleView } from './access.js'
import type { MappingAdmin, MappingRowView } from './mapping.js'

export interface PolicyDocument {
  /** Of the configuration in force: the same on replicas that run the same. */
  readonly hash: string
  readonly mapping: readonly MappingRowView[]
  /** When the users of the rows were counted; undefined: they are being counted. */
  readonly countedAt: Date | undefined
  readonly rules: readonly RuleView[]
  readonly byDefault: RuleView
}

export interface PolicyAdmin {
  inForce(): Promise<PolicyDocument>
}

export interface PolicyAdminParts {
  readonly hash: () => string
  readonly mapping: Pick<MappingAdmin, 'rows'>
  readonly access: AccessAdmin
}

export function createPolicyAdmin({ hash, mapping, access }: PolicyAdminParts): PolicyAdmin {
  return {
    async inForce() {
      const everything = { limit: Infinity }
      const [{ rows, countedAt }, { rows: rules }, byDefault] = await Promise.all([
        mapping.rows(everything),
        access.rules(everything),
        access.byDefault(),
      ])
      return {
        hash: hash(),
        mapping: rows,
        countedAt,
        rules,
        byDefault,
      }
    },
  }
}
