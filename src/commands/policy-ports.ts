// What the policy's use cases read, for commands: the database is opened where something is read of it, and closed
// again.
import type { LocalGroups, PolicyUsers } from '../core/policy.js'
import { createLocalGroups, createPolicyUsers } from '../store/policy-reads.js'
import { withDatabase, type CommonOptions } from './context.js'

export interface PolicyPorts {
  readonly users: PolicyUsers
  readonly localGroups: LocalGroups
}

export function policyPorts(options: CommonOptions): PolicyPorts {
  const users = <T>(work: (users: PolicyUsers) => Promise<T>): Promise<T> =>
    withDatabase(options, ({ database, people }) => work(createPolicyUsers(database, people)))
  return {
    users: {
      find: (user) => users((store) => store.find(user)),
      byId: (id) => users((store) => store.byId(id)),
    },
    localGroups: {
      named: (names) => withDatabase(options, ({ database }) => createLocalGroups(database).named(names)),
    },
  }
}
