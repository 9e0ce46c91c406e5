// What a replica publishes so that others can detect whether they run the same: everything in force that its answers
// depend on. Where it listens, with how many workers, how it reaches the database that they share, where its files lie
// and how many sessions it keeps in memory may differ from machine to machine.
import { createHash, createHmac } from 'node:crypto'
import type { Config } from './config.js'

/**
 * Every reader of a log, and every database role that may read the replicas, sees it.
 * A plain hash would let them try a weak secret until it fits. It is keyed with the secrets that no database holds.
 */
export function configHash(config: Config): string {
  const { host: _host, port: _port, management: _management, workers: _workers, ...server } = config.server
  const { cacheSize: _cacheSize, ...session } = config.session // by the memory of the machine
  // the values count, not the words in which the file gives them
  const { database: _database, policyText: _policyText, source: _source, entra, ...rest } = config
  const shared = {
    ...rest,
    server,
    session,
    images: config.images.map(({ sha256 }) => sha256),
    branding: { ...config.branding, logoFile: config.branding.logoFile !== undefined },
    applications: config.applications.map((each) => ({ ...each, icon: each.icon !== undefined })),
    customSteps: config.customSteps.map(({ name, sha256 }) => ({ name, sha256 })),
    entra: {
      ...entra,
      certificate: entra.certificate?.algorithm,
      federatedTokenFile: entra.federatedTokenFile !== undefined,
      caFile: entra.caFile !== undefined,
    },
  }
  return createHmac('sha256', keyOf(config)).update(JSON.stringify(shared, sortKeys)).digest('hex')
}

/** Of the section `audit.export` with its secret. In the database, as the hash above. */
export function exportHash(config: Pick<Config, 'audit' | 'session' | 'keys'>): string {
  const section = JSON.stringify(['audit.export', config.audit.export ?? null], sortKeys)
  return createHmac('sha256', keyOf(config)).update(section).digest('hex')
}

function keyOf({ session, keys }: Pick<Config, 'session' | 'keys'>): Buffer {
  return createHash('sha256').update(
    JSON.stringify(['gatehouse configuration hash', session.secrets, keys.encryptionSecrets]),
  ).digest()
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
}
