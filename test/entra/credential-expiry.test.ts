// When the credential ends, as gatehouse_entra_credential_expiry_timestamp_seconds says it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { GatehouseError } from '../../src/core/errors.js'
import { createCredentialExpiry, isPermissionMissing, meterExpiry } from '../../src/entra/credential-expiry.js'
import type { CredentialSettings } from '../../src/entra/credentials.js'
import type { Registration } from '../../src/entra/inspection.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import { DAY } from '../../src/demo/entra/certificates.js'
import { writePair } from '../helpers/key-pair.js'

const SOON = Date.UTC(2027, 0, 1)
const LATER = Date.UTC(2028, 0, 1)

/** @param secrets what Graph shows of the registration's secrets; undefined: it refuses */
const source = (settings: object, secrets: () => Registration['secrets'] | undefined) =>
  createCredentialExpiry(
    () => settings as CredentialSettings,
    {
      async registration() {
        const shown = secrets()
        if (shown === undefined) throw new GatehouseError('graph_forbidden')
        return { redirectUris: [], logoutUrl: null, idTokenClaims: [], secrets: shown }
      },
    },
  )

t.test('of a certificate from its file', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-credential-end-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  writePair(directory)
  const certificate = { certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem'), algorithm: 'PS256' }
  const end = source({ certificate }, () => t.fail('Graph is not asked') as never)
  t.equal(end.at(), undefined, 'nothing is known before it is read')
  await end.refresh()
  t.ok((end.at() ?? 0) > Date.now() + DAY / 2, String(end.at()))
})

t.test('of a client secret from Graph: ours by its first characters, else the last one to end', async (t) => {
  const ours = { hint: 'x~y', endsAt: SOON }
  const other = { hint: 'abc', endsAt: LATER }
  const unnamed = { hint: null, endsAt: SOON - DAY }
  for (
    const [secrets, at] of [
      [[other, ours], SOON],
      [[other, unnamed], LATER],
      [[unnamed], SOON - DAY],
      [[], undefined],
    ] as const
  ) {
    const end = source({ clientSecret: 'x~yz' }, () => secrets)
    await end.refresh()
    t.equal(end.at(), at, JSON.stringify(secrets))
  }
})

t.test('what was known stays where Graph refuses, which is no fault; a federated token has no end', async (t) => {
  let shown: Registration['secrets'] | undefined = [{ hint: 'x~y', endsAt: SOON }]
  const end = source({ clientSecret: 'x~yz' }, () => shown)
  await end.refresh()
  shown = undefined
  const refused: unknown = await end.refresh().catch((error: unknown) => error)
  t.ok(isPermissionMissing(refused))
  t.equal(end.at(), SOON)
  t.notOk(isPermissionMissing(new GatehouseError('graph_unavailable')))
  const federated = source({ federatedTokenFile: '/nowhere' }, () => t.fail('Graph is not asked') as never)
  await federated.refresh()
  t.equal(federated.at(), undefined)
})

t.test('the metric has it in seconds, and is absent while it is not known', async (t) => {
  const text = async (at: number | undefined): Promise<string> => {
    const metrics = createMetrics({ version: '1.0.0', endpoints: [], reevaluation: false, auditExport: false })
    meterExpiry({ at: () => at }, metrics.meter)
    return (await metrics.text()).body
  }
  t.match(await text(SOON), new RegExp(`^gatehouse_entra_credential_expiry_timestamp_seconds ${SOON / 1000}$`, 'm'))
  t.notMatch(await text(undefined), /^gatehouse_entra_credential_expiry\S* \d/m)
})
