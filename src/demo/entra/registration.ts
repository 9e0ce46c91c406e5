// The demo's app registration, as an administrator following the documentation would have made it.
import { randomUUID } from 'node:crypto'
import { DEMO_CLIENT_ID } from '../people.js'
import type { AppRegistration } from './types.js'

/** Anything may be overridden; `redirectUris` and `secret` are the application's own. */
export function createRegistration(
  { secret, ...given }: Partial<AppRegistration> & { redirectUris: string[], secret: string },
): AppRegistration {
  return {
    clientId: DEMO_CLIENT_ID,
    displayName: 'Gatehouse',
    secrets: [{ value: secret, id: randomUUID() }],
    delegatedPermissions: ['User.Read'],
    applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'],
    optionalClaims: ['email', 'upn', 'sid', 'login_hint', 'auth_time', 'xms_edov'],
    ...given,
  }
}
