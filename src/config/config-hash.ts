// What a replica publishes so that others can tell whether they run the same: everything in force, secrets as hashes,
// but for where this one listens, which differs where two run on one machine.
import { createHash } from 'node:crypto'
import type { Config } from './config.js'

export function configHash(config: Config): string {
  const { host: _host, port: _port, management: _management, ...server } = config.server
  const shared = {
    ...config,
    server,
    ownSteps: config.ownSteps.map(({ name, sha256 }) => ({ name, sha256 })),
    entra: { ...config.entra, clientSecret: hidden(config.entra.clientSecret) },
    database: { ...config.database, url: hidden(config.database.url) },
    session: { ...config.session, secrets: config.session.secrets.map(hidden) },
    keys: { ...config.keys, encryptionSecrets: config.keys.encryptionSecrets.map(hidden) },
  }
  return sha256(JSON.stringify(shared, sortKeys))
}

function hidden(secret: string | undefined): string | null {
  return secret === undefined ? null : sha256(`gatehouse configuration ${secret}`)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
}
